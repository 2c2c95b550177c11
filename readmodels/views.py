"""The views and table macros that readers ask: made anew whenever the database is opened.

For every dimension `x`: the view `x` of what is, `x_history` of every version, and the macro
`x_at(as_of, known_at)` of what was. For every fact table `f`: `f` and `f_at(as_of, known_at)`.
On a connection with the variables `as_of` or `known_at` all of them mean that moment. DuckDB folds
the conditions before it plans: without a moment the closed versions are not even read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from readmodels.schema import BEGIN, END, HAPPENED, ID, Column, Table, quoted, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TYPES = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
"""Types of custom fields, as columns."""

ASKED = "getvariable('as_of')::TIMESTAMPTZ", "getvariable('known_at')::BIGINT"
"""The moment a connection asks about: NULL, unless it was set there."""

GIVEN = f"coalesce(moment_of(as_of), {ASKED[0]})", f"coalesce(known_at::BIGINT, {ASKED[1]})"
"""The moment a macro is asked about: what it is given, else that of the connection."""

MOMENT_OF = """
CREATE OR REPLACE MACRO {catalog}.main.moment_of(said) AS (
  CASE WHEN regexp_full_match(said::VARCHAR, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')
    THEN try_cast(said AS DATE)::TIMESTAMPTZ + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND
    ELSE said::TIMESTAMPTZ END)"""
"""A time as readers say it: a bare date is the end of that day."""

POSITION_AT = """
CREATE OR REPLACE MACRO {catalog}.main.position_at(moment) AS (
  SELECT coalesce(max(position), 0) FROM {catalog}.stored.event
  WHERE recorded_at <= {catalog}.main.moment_of(moment))"""


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field as it was declared."""

    aggregate: str
    name: str
    field_type: str
    personal: bool
    explanation: str


@dataclass(frozen=True, slots=True)
class View:
    """What readers see of a table in one file: each column, and how it is computed."""

    catalog: str
    table: Table
    columns: tuple[tuple[Column, str], ...]

    def select(self, part: str, ends: Sequence[str] = ()) -> str:
        """The rows of one stored part."""
        named = [f"{how} AS {quoted(column.name)}" for column, how in self.columns]
        return (
            f"SELECT {', '.join([*named, *ends])} FROM {quoted(self.catalog)}.stored.{quoted(part)}"
        )

    def statements(self) -> Iterator[str]:
        """The statements that make the views and the macro."""
        name, told = self.table.name, self.table.description
        match self.table.kind:
            case "plain":
                yield from self._view(name, told, self.select(name))
            case "fact":
                rows = self.select(name)
                yield from self._view(name, told, _happened(rows, *ASKED))
                yield from self._macro(_happened(rows, *GIVEN))
            case "dimension":
                rows = self._versions()
                yield from self._view(name, told, _true(rows, *ASKED))
                yield from self._view(
                    f"{name}_history", f"Every version: {told}", _begun(rows, *ASKED)
                )
                yield from self._macro(_true(rows, *GIVEN))

    def _versions(self) -> str:
        """Every version of every record."""
        name = self.table.name
        closed = self.select(f"{name}_past", [column.name for column in END])
        open_ = [f"NULL::{column.type} AS {column.name}" for column in END]
        return f"{closed} UNION ALL {self.select(f'{name}_current', open_)}"

    def _view(self, name: str, told: str, rows: str) -> Iterator[str]:
        named = f"{quoted(self.catalog)}.main.{quoted(name)}"
        yield f"CREATE OR REPLACE VIEW {named} AS {rows}"
        yield f"COMMENT ON VIEW {named} IS {text(told)}"
        ends = END if self.table.kind == "dimension" else ()
        for column in (*(column for column, _ in self.columns), *ends):
            yield f"COMMENT ON COLUMN {named}.{quoted(column.name)} IS {text(column.description)}"

    def _macro(self, rows: str) -> Iterator[str]:
        name = f"{quoted(self.catalog)}.main.{quoted(self.table.name + '_at')}"
        told = f"As it was at a time, or as it was known at a position: {self.table.description}"
        yield f"CREATE OR REPLACE MACRO {name}(as_of := NULL, known_at := NULL) AS TABLE {rows}"
        yield f"COMMENT ON MACRO TABLE {name} IS {text(told)}"


def _happened(rows: str, as_of: str, known_at: str) -> str:
    """Facts that had happened, and were known."""
    return (
        f"SELECT * FROM ({rows}) WHERE ({as_of} IS NULL OR occurred_at <= {as_of}) "
        f"AND ({known_at} IS NULL OR position <= {known_at})"
    )


def _begun(rows: str, as_of: str, known_at: str) -> str:
    """Versions that had begun and were known, ended only if that was known too."""
    ended = f"CASE WHEN {known_at} IS NULL OR position_to <= {known_at} THEN"
    ends = ", ".join(f"{ended} {column.name} END AS {column.name}" for column in END)
    return (
        f"SELECT * REPLACE ({ends}) "
        f"FROM ({rows}) WHERE ({as_of} IS NULL OR valid_from <= {as_of}) "
        f"AND ({known_at} IS NULL OR position <= {known_at})"
    )


def _true(rows: str, as_of: str, known_at: str) -> str:
    """Versions that were true, as far as was known: one a record at most."""
    return (
        f"{_begun(rows, as_of, known_at)} AND (valid_to IS NULL "
        f"OR coalesce(valid_to > {as_of}, false) OR coalesce(position_to > {known_at}, false))"
    )


def view_of(catalog: str, table: Table, declared: Sequence[CustomField] = ()) -> View:
    """What readers see of a table: custom fields as columns, the digests as one."""
    if table.kind == "plain":
        return View(catalog, table, tuple((c, quoted(c.name)) for c in table.columns))
    own = [column for column in table.columns if not column.digest_of]
    common = BEGIN if table.kind == "dimension" else HAPPENED
    columns = [(column, quoted(column.name)) for column in (ID, *own)]
    columns += [*_custom(table, own, declared), *_digest(table)]
    return View(catalog, table, (*columns, *((column, quoted(column.name)) for column in common)))


def _custom(
    table: Table, own: Sequence[Column], declared: Sequence[CustomField]
) -> Iterator[tuple[Column, str]]:
    """A column for each custom field of what the table is about."""
    source = "custom_personal" if table.personal else "custom"
    if table.kind != "dimension" or source not in {column.name for column in own}:
        return
    taken = {column.name for column in (*own, ID, *BEGIN, *END)} | {"digest"}
    for field in declared:
        about = table.name.removesuffix("_personal") if table.personal else table.name
        name = f"custom_{field.name}" if field.name in taken else field.name
        if (field.aggregate, field.personal) == (about, table.personal) and name not in taken:
            taken.add(name)
            kind = TYPES[field.field_type]
            value = f"{source} ->> {text(f'$.{quoted(field.name)}')}"
            yield Column(name, kind, field.explanation), f"TRY_CAST(({value}) AS {kind})"


def _digest(table: Table) -> Iterator[tuple[Column, str]]:
    digests = [column for column in table.columns if column.digest_of]
    if digests:
        fields = ", ".join(f"{quoted(c.digest_of)}: {quoted(c.name)}" for c in digests)
        kinds = ", ".join(f"{quoted(c.digest_of)} {c.type}" for c in digests)
        told = "Stands for the personal values: hashes of what the log holds in their place."
        yield Column("digest", f"STRUCT({kinds})", told), f"{{{fields}}}"
