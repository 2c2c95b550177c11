"""Where a value comes from, and how it is read from the cells of a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Tag,
    model_validator,
)

from domain.values import Country, Slug
from eventstore.envelope import derived
from imports.values import Format, Kind, Unreadable, as_kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

Cells = Mapping[str, Any]
"""A row by column: trimmed, known misspellings corrected, and None where there is no value.

What a CSV file holds is text; values of a Parquet file have the types they have there.
"""

Read = Callable[[Cells], Any]

IDS_REMEMBERED_MAX = 50_000
KINDS: dict[Any, Kind] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "number",
    Decimal: "decimal",
    date: "date",
    datetime: "moment",
    AwareDatetime: "moment",
    Country: "country",
}
SEVERAL = (dict, tuple)
"""What holds several values: one cell holds them as JSON."""

M = TypeVar("M")
OneOrMore = Annotated[
    tuple[M, ...], BeforeValidator(lambda given: given if isinstance(given, list) else (given,))
]


class Part(BaseModel):
    """A part of a recipe: what it does not know is an error, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Part):
    """The value of a column, changed in the order of these fields."""

    column: str
    missing: OneOrMore[str] = ()
    """Further texts that mean "no value"."""
    map: dict[str, Any] | None = None
    """From what is written to what is meant; anything else is an error of the row."""
    lookup: Slug | None = None
    """Then the value is looked up in another file."""
    times: Decimal | None = None
    """Then it is multiplied, such as millions by 1000000."""
    default: Any = None
    """Taken when there is no value."""


class Constant(Part):
    """The same value for every row."""

    value: Any


class Template(Part):
    """Text with the values of columns filled in for {column}; none if one of them is missing."""

    text: str

    @property
    def columns(self) -> list[str]:
        """The columns it names."""
        return re.findall(r"\{([^{}]+)\}", self.text)


class Reference(Part):
    """The id of the record of a kind that was imported under a key: of a column, or constant."""

    ref: Slug
    column: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _names_one_key(self) -> Self:
        if (self.column is None) == (self.key is None):
            raise ValueError("a reference takes its key from a column, or names the key")
        return self


AnySource = Column | Constant | Template | Reference


def _short(given: object) -> object:
    return {"column": given} if isinstance(given, str) else given


def _sort_of(given: Any) -> str:
    known = given if isinstance(given, dict) else getattr(type(given), "model_fields", ())
    return next((sort for sort in ("ref", "text", "value") if sort in known), "column")


Source = Annotated[
    Annotated[Column, Tag("column")]
    | Annotated[Constant, Tag("value")]
    | Annotated[Template, Tag("text")]
    | Annotated[Reference, Tag("ref")],
    Discriminator(_sort_of),
    BeforeValidator(_short),
]
"""Where a value comes from. A plain text is short for `{ column = "that text" }`."""


def columns_of(source: AnySource) -> Iterator[str]:
    """The columns a source reads."""
    match source:
        case Column(column=column):
            yield column
        case Reference(column=str(column)):
            yield column
        case Template(columns=columns):
            yield from columns


def kind_of(hint: Any) -> Kind | None:
    """What a cell has to be read as for a field of this type; None: no cell can be that."""
    options = [option for option in get_args(hint) if option is not NoneType]
    if hint in KINDS:
        return KINDS[hint]
    if get_origin(hint) is Annotated:
        return kind_of(options[0])
    if get_origin(hint) in SEVERAL:
        return "json"
    if options and all(isinstance(option, str) for option in options):
        return "text"  # a Literal
    return kind_of(options[0]) if len(options) == 1 else None


@dataclass(frozen=True)
class Reading:
    """How cells become values: formats, files to look things up in, and ids."""

    format: Format
    lookups: Mapping[str, Mapping[str, str | None]]
    namespace: UUID

    def __post_init__(self) -> None:
        object.__setattr__(self, "id_of", lru_cache(IDS_REMEMBERED_MAX)(self.id_of))

    def __reduce__(self) -> tuple[Any, ...]:
        return Reading, (self.format, self.lookups, self.namespace)  # what it remembers stays here

    def id_of(self, kind: str, key: str) -> UUID:
        """The id of the record of a kind that has a business key."""
        return derived(self.namespace, f"{kind}\x1f{key}")

    def reader(self, source: AnySource, kind: Kind | None) -> Read:
        """The function that takes a value, as `kind`, from the cells of a row."""
        match source:
            case Constant(value=value):
                constant = settled(value, kind)
                return lambda _: constant
            case Reference():
                return self._reference(source)
            case Template():
                return _template(source)
            case Column():
                return self._column(source, kind or "text")

    def _reference(self, source: Reference) -> Read:
        ref, column, key = source.ref, source.column, source.key
        if column is None:
            constant = self.id_of(ref, key or "")
            return lambda _: constant

        def read(cells: Cells) -> UUID | None:
            text = cells[column]
            return None if text is None else self.id_of(ref, as_text(text))

        return read

    def _column(self, source: Column, kind: Kind) -> Read:
        column, parse = source.column, self.format.reader(kind, source.times)
        change = self._change(source)
        default = settled(source.default, kind)

        def read(cells: Cells) -> Any:
            text = cells[column]
            if text is None:
                return default
            try:
                value = text if change is None else change(as_text(text))
                if isinstance(value, str):
                    value = parse(value)
                else:
                    value = default if value is None else typed(value, kind, source.times)
            except Unreadable as error:
                raise Unreadable(f"{column}: {error}") from None
            return value

        return read

    def _change(self, source: Column) -> Callable[[str], Any] | None:
        """What happens to a text before it is parsed; None: nothing."""
        if not source.missing and source.map is None and source.lookup is None:
            return None
        table = None if source.lookup is None else self.lookups[source.lookup]

        def change(text: str) -> Any:
            if text in source.missing:
                return None
            value: Any = text
            if source.map is not None:
                if text not in source.map:
                    raise Unreadable(f"{text!r} is none of {', '.join(source.map)}")
                value = source.map[text]
            if table is not None:
                if value not in table:
                    raise Unreadable(f"{value!r} is not listed in {source.lookup}")
                value = table[value]
            return value

        return change


def _template(source: Template) -> Read:
    parts = re.split(r"\{([^{}]+)\}", source.text)

    def read(cells: Cells) -> str | None:
        filled = [cells[part] if number % 2 else part for number, part in enumerate(parts)]
        return None if None in filled else "".join(map(as_text, filled))

    return read


def as_text(value: Any) -> str:
    """A value of any type as a CSV file would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def typed(value: Any, kind: Kind, times: Decimal | None) -> Any:
    """A value that has a type already, such as one of a Parquet file, as `kind`."""
    if kind == "text":
        return as_text(value)
    if times is not None and isinstance(value, int | float | Decimal):
        return as_kind(kind, Decimal(str(value)) * times)
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return value.astimezone(UTC).date() if kind == "date" else value.astimezone(UTC)
    return settled(value, kind)


def settled(value: Any, kind: Kind | None) -> Any:
    """A value from a recipe; a day that stands for a moment is its start in UTC."""
    if kind == "moment" and type(value) is date:
        return datetime.combine(value, time(), UTC)
    return value
