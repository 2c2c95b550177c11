"""Any event that the types allow: values made up from the annotations of its fields."""

from __future__ import annotations

from datetime import UTC, date
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from domain.values import INTEGER_MAX, EmailAddress

if TYPE_CHECKING:
    from domain.base import Event

ADDRESSES = ("ann@example.com", "bob@mail.example.org", "Zoë@example.net")
TEXT = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], include_characters="\n")


def arbitrary(event: type[Event]) -> st.SearchStrategy[Any]:
    """Events of this class, with any fields it allows."""
    return _model(event)


@cache
def _model(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(model, include_extras=True)
    return st.builds(model, **{name: _values(hints[name]) for name in model.model_fields})


def _values(annotation: Any, within: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Values of one type that its validators accept."""
    origin, arguments, within = get_origin(annotation), get_args(annotation), within or {}
    if annotation == EmailAddress:
        return st.sampled_from(ADDRESSES)
    if origin is Annotated:
        made = _values(arguments[0], within | limits(annotation.__metadata__))
        return made.filter(lambda value: _fits(annotation, value))
    if origin is not None:
        return _composed(origin, arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation)
    return _plain(annotation, within)


def _composed(origin: Any, arguments: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Values of a type made of others; one without a rule here is a KeyError."""
    if origin is Literal:
        return st.sampled_from(arguments)
    parts = [_values(argument) for argument in arguments if argument is not ...]
    made: dict[Any, Any] = {
        Union: st.one_of,
        UnionType: st.one_of,
        dict: lambda keys, values: st.dictionaries(keys, values, max_size=3),
        tuple: lambda items: st.lists(items, max_size=3).map(tuple),
    }
    return made[origin](*parts)


def _plain(kind: Any, within: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a simple type within its limits; one without a rule here is a KeyError."""
    low, high = within.get("ge"), within.get("le")
    if kind is str:
        if pattern := within.get("pattern"):
            return st.from_regex(pattern, fullmatch=True)
        sizes = {"min_size": within.get("min_length") or 0, "max_size": 20}
        return st.text(TEXT, **sizes)
    if kind is Decimal:
        places = within["decimal_places"]
        most = Decimal(10) ** (within["max_digits"] - places) - Decimal(1).scaleb(-places)
        low, high = -most if low is None else low, most if high is None else high
        return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)
    return {
        NoneType: st.none(),
        bool: st.booleans(),
        UUID: st.uuids(),
        date: st.dates(),
        AwareDatetime: st.datetimes(timezones=st.just(UTC)),
        int: st.integers(
            -INTEGER_MAX if low is None else low, INTEGER_MAX if high is None else high
        ),
        float: st.floats(low, high, allow_nan=False, allow_infinity=False),
    }[kind]


def limits(metadata: tuple[Any, ...]) -> dict[str, Any]:
    """What the metadata of an annotation says, whoever's classes it is said in."""
    found: dict[str, Any] = {}
    for mark in metadata:
        for said in mark.metadata if isinstance(mark, FieldInfo) else (mark,):
            for name in ("ge", "le", "min_length", "pattern", "max_digits", "decimal_places"):
                if (value := getattr(said, name, None)) is not None:
                    found[name] = value
    return found


def _fits(annotation: Any, value: object) -> bool:
    try:
        _adapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
