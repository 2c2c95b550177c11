"""A state with other values is a new one, as with `dataclasses.replace`."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from domain import AGGREGATES
from domain.base import replace


@pytest.mark.parametrize("of", AGGREGATES)
def test_each_field_can_be_replaced(of: type[Any]):
    blank = of()
    for field in dataclasses.fields(of):
        before = getattr(blank, field.name)
        made = replace(blank, **{field.name: "another"})
        assert made == dataclasses.replace(blank, **{field.name: "another"})
        assert type(made) is of
        assert (getattr(made, field.name), getattr(blank, field.name)) == ("another", before)
    assert replace(made) == made is not replace(made)
    assert blank == of()


@pytest.mark.parametrize("of", AGGREGATES)
def test_what_is_no_field_cannot_be_replaced(of: type[Any]):
    for name in ("nothing", "evolve", "__class__"):
        with pytest.raises(TypeError, match=f"has no field {name}"):
            replace(of(), **{name: "another"})
