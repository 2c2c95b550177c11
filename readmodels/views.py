"""The views and table macros that readers ask: made anew whenever the database is opened.

For every dimension `x`: the view `x` of what is, `x_history` of every version, and the macros
`x_at(as_of, known_at)` of what was and `x_between(since, as_of, known_at)` of what changed. For
every fact table `f`: `f` and `f_at(as_of, known_at)`. A record that was retracted, as far as was
known, is in none of them but `x_history` and `x_between`, nor are its facts from before, but for
its events.
On a connection with the variables `as_of` or `known_at` all of them mean that moment. DuckDB folds
the conditions before it plans: without a moment the closed versions are not even read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from readmodels.between import CHANGED, between
from readmodels.mergers import borrowed, followed, references
from readmodels.moments import ASKED, GIVEN, MOMENT, PERIOD, begun_at, happened_at, true_at
from readmodels.schema import (
    BEGIN,
    END,
    HAPPENED,
    ID,
    Column,
    Table,
    quoted,
    text,
)
from readmodels.units import Told, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WAS = "As it was at a time, or as it was known at a position:"
RETRACTION = "retraction"
"""The table of records that were taken back."""

WHOLE = {RETRACTION, "event"}
"""These tell what was, whatever was taken back since: the log among them."""

RETRACTED = "retracted"
"""Their status; and what the events are called that make it so."""

TYPES = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
"""Types of custom fields, as columns."""


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field as it was declared."""

    aggregate: str
    name: str
    field_type: str
    personal: bool
    explanation: str
    unit: str | None

    @property
    def description(self) -> str:
        """What it means, and its unit, as declared."""
        if not self.unit:
            return self.explanation
        return Told(self.explanation, Unit(self.unit, "As the workspace declared it."))


@dataclass(frozen=True, slots=True)
class View:
    """What readers see of a table in one file: each column, and how it is computed.

    `log` is the file that has the envelopes of events, and of what was `retracted` or `merged`, if
    there is. `plain` is, of a table of personal columns, the one with the others.
    """

    catalog: str
    table: Table
    columns: tuple[tuple[Column, str], ...]
    log: str
    retracted: bool = False
    merged: bool = False
    plain: Table | None = None

    def select(self, part: str, ends: Sequence[str] = ()) -> str:
        """The rows of one stored part."""
        named = [f"{how} AS {quoted(column.name)}" for column, how in self.columns]
        table = f"{quoted(self.catalog)}.stored.{quoted(part)}"
        return f"SELECT {', '.join([*named, *ends])} FROM {table} AS stored"

    def statements(self) -> Iterator[str]:
        """The statements that make the views and the macro."""
        name, told = self.table.name, self.table.description
        match self.table.kind:
            case "plain":
                yield from self._view(name, told, self.select(name))
            case "fact":
                rows = self.select(name)
                yield from self._view(name, told, self._happened(rows, *ASKED))
                yield from self._macro("at", WAS, MOMENT, self._happened(rows, *GIVEN))
            case "dimension":
                rows = self.versions()
                yield from self._view(name, told, self._seen(rows, *ASKED))
                yield from self._view(
                    f"{name}_history", f"Every version: {told}", begun_at(rows, *ASKED)
                )
                yield from self._macro("at", WAS, MOMENT, self._seen(rows, *GIVEN))
                changed = between(rows, self.table.entity, self._compared(), self.log)
                yield from self._macro("between", CHANGED, PERIOD, changed)

    def versions(self) -> str:
        """Every version of every record."""
        name = self.table.name
        closed = self.select(f"{name}_past", [column.name for column in END])
        open_ = [f"NULL::{column.type} AS {column.name}" for column in END]
        return f"{closed} UNION ALL {self.select(f'{name}_current', open_)}"

    def _compared(self) -> list[str]:
        """The columns in which two versions of a record may differ."""
        same = {*self.table.entity, "digest", *(column.name for column in BEGIN)}
        return [column.name for column, _ in self.columns if column.name not in same]

    def _happened(self, rows: str, as_of: str, known_at: str) -> str:
        """Facts that had happened, and were known; but for those of what was retracted since."""
        happened = self._followed(happened_at(rows, as_of, known_at), as_of, known_at)
        if not self.retracted or self.table.name in WHOLE:
            return happened
        retracted = (
            f"SELECT id, position, effective_at, occurred_at "
            f"FROM {quoted(self.log)}.stored.{RETRACTION}"
        )
        return (
            f"SELECT * FROM ({happened}) AS fact WHERE NOT EXISTS ("
            f"SELECT 1 FROM ({happened_at(retracted, as_of, known_at)}) AS retracted "
            "WHERE retracted.id = fact.id AND retracted.position > fact.position)"
        )

    def _true(self, rows: str, as_of: str, known_at: str) -> str:
        """Versions that were true, as far as was known: one a record at most."""
        true = true_at(rows, as_of, known_at)
        if self.table.personal:
            return true
        if any(f".{RETRACTED}." in type_ for type_ in self.table.events):
            true = f"{true} AND status IS DISTINCT FROM '{RETRACTED}'"
        if "merged_into" in {column.name for column, _ in self.columns}:
            true = f"{true} AND merged_into IS NULL"
        return true

    def _seen(self, rows: str, as_of: str, known_at: str) -> str:
        """Versions that were true, as readers see them: mergers followed."""
        true = self._true(rows, as_of, known_at)
        if not self.table.personal:
            return self._followed(true, as_of, known_at)
        there = {column.name for column in self.plain.columns} if self.plain else set()
        names = [column.name for column, _ in self.columns if f"{column.name}_from" in there]
        if self.plain is None or not names:
            return true
        plain = view_of(self.log, self.plain).versions()
        return borrowed(true, names, true_at(plain, as_of, known_at))

    def _followed(self, rows: str, as_of: str, known_at: str) -> str:
        """Rows that name the survivors in place of what was merged into them."""
        named = references(self.table) if self.merged and self.table.name not in WHOLE else {}
        if not named:
            return rows
        return followed(rows, named, self.log, (as_of, known_at), self.table.entity)

    def _view(self, name: str, told: str, rows: str) -> Iterator[str]:
        named = f"{quoted(self.catalog)}.main.{quoted(name)}"
        yield f"CREATE OR REPLACE VIEW {named} AS {rows}"
        yield f"COMMENT ON VIEW {named} IS {text(told)}"
        ends = END if self.table.kind == "dimension" else ()
        for column in (*(column for column, _ in self.columns), *ends):
            yield f"COMMENT ON COLUMN {named}.{quoted(column.name)} IS {text(column.comment)}"

    def _macro(self, suffix: str, what: str, parameters: Sequence[str], rows: str) -> Iterator[str]:
        name = f"{quoted(self.catalog)}.main.{quoted(f'{self.table.name}_{suffix}')}"
        given = ", ".join(f"{parameter} := NULL" for parameter in parameters)
        yield f"CREATE OR REPLACE MACRO {name}({given}) AS TABLE {rows}"
        yield f"COMMENT ON MACRO TABLE {name} IS {text(f'{what} {self.table.description}')}"


def view_of(
    catalog: str,
    table: Table,
    declared: Sequence[CustomField] = (),
    log: str = "",
    *,
    retracted: bool = False,
    merged: bool = False,
    plain: Table | None = None,
) -> View:
    """What readers see of a table: custom fields as columns, the digests as one."""
    own = [column for column in table.columns if not column.digest_of]
    if table.kind == "plain":
        return View(catalog, table, tuple(map(_stored, own)), log or catalog)
    common = BEGIN if table.kind == "dimension" else HAPPENED
    columns = [_stored(column) for column in (ID, *own)]
    columns += [*_custom(table, own, declared), *_digest(table), *map(_stored, common)]
    return View(catalog, table, tuple(columns), log or catalog, retracted, merged, plain)


def _stored(column: Column) -> tuple[Column, str]:
    """A column as it is; a parameter of a macro may have the same name."""
    return column, f"stored.{quoted(column.name)}"


def _custom(
    table: Table, own: Sequence[Column], declared: Sequence[CustomField]
) -> Iterator[tuple[Column, str]]:
    """A column for each custom field of what the table is about."""
    source = "custom_personal" if table.personal else "custom"
    if table.kind != "dimension" or source not in {column.name for column in own}:
        return
    feeds = next(column.feeds for column in own if column.name == source)
    taken = {column.name for column in (*own, ID, *BEGIN, *END)} | {"digest"}
    for field in declared:
        about = table.name.removesuffix("_personal") if table.personal else table.name
        name = f"custom_{field.name}" if field.name in taken else field.name
        if (field.aggregate, field.personal) == (about, table.personal) and name not in taken:
            taken.add(name)
            kind = TYPES[field.field_type]
            value = f"{source} ->> {text(f'$.{quoted(field.name)}')}"
            column = Column(name, kind, field.description, feeds=feeds)
            yield column, f"TRY_CAST(({value}) AS {kind})"


def _digest(table: Table) -> Iterator[tuple[Column, str]]:
    digests = [column for column in table.columns if column.digest_of]
    if digests:
        fields = ", ".join(f"{quoted(c.digest_of)}: {quoted(c.name)}" for c in digests)
        kinds = ", ".join(f"{quoted(c.digest_of)} {c.type}" for c in digests)
        told = "Stands for the personal values: hashes of what the log holds in their place."
        feeds = tuple(feed for column in digests for feed in column.feeds)
        column = Column("digest", f"STRUCT({kinds})", told, feeds=feeds)
        yield column, f"{{{fields}}}"
