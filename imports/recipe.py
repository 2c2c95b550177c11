"""Recipes: what the rows of files mean, as readable TOML. README.md beside this explains them."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from commands import COMMANDS
from domain.base import aggregate_of
from domain.custom_fields import CustomAggregate, FieldName, FieldType
from domain.values import Line, Slug, Text
from imports.likeness import Compared
from imports.source import AnySource, Column, OneOrMore, Part, Reference, Source
from imports.values import Format, date_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.base import Command

RECIPES = Path(__file__).with_name("recipes")
VERBS: dict[str, type[Command[Any]]] = {command.__name__: command for command in COMMANDS}
SIMILAR = ("lead", "contact", "customer")
WEIGHTS: dict[Compared, float] = {"name": 3.0, "email": 3.0, "company": 2.0, "phone": 2.0}
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RecipeInvalid(Exception):
    """A recipe does not say clearly what to do, or does not fit the files; the message says why."""


Condition = StrictBool | OneOrMore[str]
"""True: the column has a value; false: it has none; else one of these texts."""


class Lookup(Part):
    """A file that gives a value for a key, such as a price list."""

    file: str
    key: str
    value: str


class CustomField(Part):
    """A custom field to declare, and where its values come from."""

    type: FieldType
    unit: Line | None = None
    personal: bool = False
    description: Text
    source: Source


class Ask(Part):
    """One command that a row leads to."""

    command: str
    at: Source | None = None
    when: dict[str, Condition] = Field(default_factory=dict)
    only: Literal["new", "changed"] | None = None
    if_refused: str | None = None
    fields: dict[str, Source] = Field(default_factory=dict)

    custom: dict[FieldName, Source] | None = None
    """Custom fields; without it, a command that takes some gets all that are declared."""

    @field_validator("command")
    @classmethod
    def _is_known(cls, verb: str) -> str:
        if verb not in VERBS:
            raise ValueError(f"there is no command {verb}")
        return verb

    @model_validator(mode="after")
    def _fits_its_command(self) -> Self:
        known = self.of.model_fields
        if self.custom is not None and not self.customized:
            raise ValueError(f"{self.command} takes no custom fields")
        if self.custom is not None and "custom" in self.fields:
            raise ValueError("either `custom`, or all of it as one object in `fields.custom`")
        if strange := self.fields.keys() - known.keys():
            raise ValueError(f"{self.command} has no field {', '.join(sorted(strange))}")
        needed = {name for name, field in known.items() if field.is_required()} - {"custom"}
        if lacking := needed - self.fields.keys():
            raise ValueError(f"{self.command} needs {', '.join(sorted(lacking))}")
        return self

    @cached_property
    def of(self) -> type[Command[Any]]:
        """The class of the command."""
        return VERBS[self.command]

    @property
    def aggregate(self) -> Any:
        """What the command is asked of, such as `lead`."""
        return aggregate_of(self.of.of)

    @property
    def customized(self) -> bool:
        """Whether the command takes custom fields."""
        return "custom" in self.of.model_fields

    @cached_property
    def takes_all_custom(self) -> bool:
        """Whether it gets every custom field that is declared."""
        return self.customized and self.custom is None and "custom" not in self.fields

    @cached_property
    def references(self) -> tuple[tuple[str, Reference], ...]:
        """The fields that are ids of other records."""
        return tuple(
            (name, source) for name, source in self.fields.items() if isinstance(source, Reference)
        )

    @cached_property
    def given(self) -> set[str]:
        """The fields of the command that rows give."""
        return {*self.fields, *(("custom",) if self.takes_all_custom or self.custom else ())}

    @cached_property
    def new(self) -> bool:
        """Whether a row that was never imported leads to this command."""
        return self.only != "changed" and self.if_refused is None

    @property
    def changed(self) -> bool:
        """Whether a row that comes back with other values leads to this command."""
        return self.only != "new" and self.if_refused is None and not self.of.creates


class Similar(Part):
    """New rows of a step are looked for among the records there are, by how alike they are."""

    weights: Annotated[dict[Compared, Weight], Field(min_length=1)] = WEIGHTS
    at_least: Annotated[float, Field(gt=0, le=1)] = 0.85
    then: Literal["import", "skip"] = "import"
    among: tuple[Literal["lead", "contact", "customer"], ...] = ()
    """Other records than those of its own kind."""


class Step(Part):
    """What one kind of record takes from one file; without a file: one record, once."""

    name: Slug
    kind: Slug = ""
    file: str | None = None
    key: str
    id: str | None = None
    """The column with the ids of records that keep theirs."""
    event: str | None = None
    """The column with the ids of events that keep theirs: one command leads to each."""
    by: str | None = None
    """The column with the users in whose name the commands are asked."""
    when: dict[str, Condition] = Field(default_factory=dict)
    after: str | None = None
    similar: Similar | None = None
    ask: Annotated[tuple[Ask, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _asks_one_aggregate(self) -> Self:
        if len({ask.aggregate for ask in self.ask}) != 1:
            raise ValueError(f"the commands of step {self.name} belong to several aggregates")
        return self

    @model_validator(mode="after")
    def _compares_what_it_says(self) -> Self:
        creating = [ask for ask in self.ask if ask.of.creates and ask.new]
        if self.similar and not (creating and creating[0].aggregate in SIMILAR):
            raise ValueError(f"only steps that make {', '.join(SIMILAR)} look for similar ones")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs for itself."""
        named = (self.id, self.event, self.by, self.after)
        return (self.key, *self.when, *(column for column in named if column is not None))

    @property
    def record(self) -> str:
        """The kind of its records in references: the name of the step unless another is given."""
        return self.kind or self.name


class Recipe(Part):
    """All of a recipe."""

    name: Slug
    title: Line
    description: Text = ""
    since: date | None = None
    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    dates: tuple[str, ...] = ("yyyy-mm-dd",)
    decimal: Literal[".", ","] = "."
    exact: bool = False
    """Cells are taken as they stand, but for the mark before what looks like a formula."""
    order: str | None = None
    """The column whose rising numbers say in which order the rows of all files are taken."""
    missing: tuple[str, ...] = ()
    yes: tuple[str, ...] = Format.yes
    no: tuple[str, ...] = Format.no
    correct: dict[str, dict[str, str]] = Field(default_factory=dict)
    lookup: dict[Slug, Lookup] = Field(default_factory=dict)
    custom: dict[CustomAggregate, dict[FieldName, CustomField]] = Field(default_factory=dict)
    step: Annotated[tuple[Step, ...], Field(min_length=1)]

    @field_validator("dates")
    @classmethod
    def _are_spelled_right(cls, dates: tuple[str, ...]) -> tuple[str, ...]:
        for spelled in dates:
            date_pattern(spelled)
        return dates

    @field_validator("since", mode="before")
    @classmethod
    def _is_a_day(cls, given: object) -> object:
        if isinstance(given, datetime):
            raise ValueError("`since` is a day")  # noqa: TRY004 - pydantic tells ValueErrors
        return given

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        kinds = {step.record for step in self.step}
        names = [step.name for step in self.step]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")
        for step in self.step:
            if step.file is None and (self.order or step.id or step.event or step.by):
                raise ValueError(f"step {step.name} has no file to take its columns from")
            if step.event and not step.id:
                raise ValueError(f"step {step.name} keeps events and not the ids of records")
        for ask in (ask for step in self.step for ask in step.ask):
            if strange := (ask.custom or {}).keys() - self.custom.get(ask.aggregate, {}).keys():
                raise ValueError(f"no custom field {', '.join(sorted(strange))} is declared")
        for source in self.sources():
            if isinstance(source, Reference) and source.ref not in kinds:
                raise ValueError(f"no step makes records of the kind {source.ref}")
            if isinstance(source, Column) and source.lookup not in {None, *self.lookup}:
                raise ValueError(f"there is no lookup {source.lookup}")
        return self

    @property
    def format(self) -> Format:
        """How the files write values."""
        yes, no = (tuple(word.casefold() for word in words) for words in (self.yes, self.no))
        return Format(self.dates, self.decimal, yes, no, self.exact)

    @property
    def files(self) -> tuple[str, ...]:
        """The files it reads, in order."""
        steps = [step.file for step in self.step if step.file]
        return tuple(dict.fromkeys([*steps, *(lookup.file for lookup in self.lookup.values())]))

    @property
    def referred_to(self) -> frozenset[str]:
        """The kinds of records that rows refer to."""
        return frozenset(source.ref for source in self.sources() if isinstance(source, Reference))

    def sources(self) -> Iterator[AnySource]:
        """Every place a value comes from."""
        for fields in self.custom.values():
            yield from (field.source for field in fields.values())
        for step in self.step:
            for ask in step.ask:
                if ask.at is not None:
                    yield ask.at
                yield from ask.fields.values()
                yield from (ask.custom or {}).values()


def load(name: str) -> Recipe:
    """The recipe that comes with Backstory under a name, or stands in a TOML file."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in RECIPES.glob("*.toml")))
        raise RecipeInvalid(f"there is no recipe {name}; there are {known}, or name a .toml file")
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise RecipeInvalid(f"{path}: {error}") from None
    except ValidationError as error:
        raise RecipeInvalid(f"{path}:\n{_told(error)}") from None


def _told(error: ValidationError) -> str:
    places = {found["loc"] for found in error.errors()}
    inner = [
        found
        for found in error.errors()
        if not any(place[: len(found["loc"])] == found["loc"] != place for place in places)
    ]
    return "\n".join(
        f"  {'.'.join(map(str, found['loc'])) or 'recipe'}: {found['msg']}" for found in inner
    )
