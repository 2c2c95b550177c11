"""Numbers are written in digits: whatever else a parser would take for one is refused."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from api.body import strict_json
from commands import COMMANDS
from domain.values import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.base import Command

Path = tuple[str | int, ...]

SLIPS = (
    True,
    False,
    "",
    "1_000",
    " 5 ",
    "5\n",
    "1e3",
    "+5",
    ".5",
    "5.",
    "007",
    "1,000",
    "0x1",
    "\uff15",
)
NUMBERS = st.integers(-(10**6), 10**6) | st.decimals(-(10**6), 10**6, places=2)
SPELLED = st.one_of(
    st.sampled_from(SLIPS),
    st.builds("{0:_}".format, st.integers(1_000)),
    st.builds("{0:e}".format, NUMBERS),
    st.builds(" {0}".format, NUMBERS),
    st.text("0123456789.-+_e ,", max_size=8),
)


def numbers_in(model: type[BaseModel], *path: str | int) -> Iterator[tuple[Path, bool]]:
    """Where a model takes numbers, and whether only whole ones will do."""
    for name in model.model_fields:
        hint = get_type_hints(model)[name]
        for kind in (hint, *get_args(hint)):
            if kind in {int, Decimal}:
                yield (*path, name), kind is int
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from numbers_in(kind, *path, name, 0)


EVERY_NUMBER = [
    pytest.param(command, path, whole, id=f"{command.__name__}.{path[-1]}")
    for command in COMMANDS
    for path, whole in numbers_in(command)
]


def read(command: type[Command[Any]], path: Path, value: object) -> Command[Any]:
    """The example of a command with another value at a place, as a door reads it."""
    body = deepcopy(command.example)
    *way, last = path
    reduce(getitem, way, body)[last] = value
    return command.model_validate(strict_json(json.dumps(body).encode()))


@pytest.mark.parametrize(("command", "path", "whole"), EVERY_NUMBER)
def test_a_number_is_written_in_digits(command, path, whole):
    unspelled = SPELLED.filter(lambda value: not DIGITS.fullmatch(str(value)))
    wrong = (
        unspelled | st.builds(str, NUMBERS) | st.sampled_from([1.0, 2.5]) if whole else unspelled
    )

    @settings(max_examples=30)
    @given(wrong)
    def refused(slip):
        with pytest.raises(ValidationError) as told:
            read(command, path, slip)
        [error] = told.value.errors()
        assert error["loc"] == path
        assert error["msg"].endswith(("in digits, as in 1234.50", "a valid integer"))

    refused()


@pytest.mark.parametrize(("command", "path", "whole"), EVERY_NUMBER)
def test_a_number_is_what_its_digits_say(command, path, whole):
    for written in [1] if whole else [1, 1.0, "1", "1.0", "1.00"]:
        taken: Any = read(command, path, written)
        for key in path:
            taken = taken[key] if isinstance(key, int) else getattr(taken, key)
        assert taken == 1
        assert type(taken) is (int if whole else Decimal)
