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

from readmodels.mergers import borrowed, followed, references
from readmodels.schema import (
    ACTOR,
    BEGIN,
    END,
    EVENT_ID,
    HAPPENED,
    ID,
    OCCURRED_AT,
    POSITION,
    RECORDED_AT,
    Column,
    Table,
    quoted,
    text,
)
from readmodels.units import Told, Unit, count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOMENT = ("as_of", "known_at")
"""What macros take that tell what was so at a moment, and as far as was known."""

PERIOD = ("since", *MOMENT, "known_since")
"""What macros take that compare a moment with an earlier one, and with what was known then."""

BETWEEN = (
    Column("change", "VARCHAR", "appeared, or changed."),
    Column("column_name", "VARCHAR", "The column that differs."),
    Column("old_value", "VARCHAR", "What it was at the earlier moment, as text."),
    Column("new_value", "VARCHAR", "What it was at the later moment, as text."),
    Column("versions", "BIGINT", count("Versions the record took in between.")),
    POSITION,
    Column("type", "VARCHAR", "What happened: the last event that set the column."),
    EVENT_ID,
    OCCURRED_AT,
    RECORDED_AT,
    ACTOR,
)
"""The columns of `x_between`, after what tells one record from another."""

WAS = "As it was at a time, or as it was known at a position:"
CHANGED = "What changed between two times, a row for each record and column that differs:"

RETRACTION = "retraction"
"""The table of records that were taken back."""

WHOLE = {RETRACTION, "event"}
"""These tell what was, whatever was taken back since: the log among them."""

RETRACTED = "retracted"
"""Their status; and what the events are called that make it so."""

TYPES = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
"""Types of custom fields, as columns."""

ASKED = "getvariable('as_of')::TIMESTAMPTZ", "getvariable('known_at')::BIGINT"
"""The moment a connection asks about: NULL, unless it was set there."""

GIVEN = f"coalesce(moment_of(as_of), {ASKED[0]})", f"coalesce(known_at::BIGINT, {ASKED[1]})"
"""The moment a macro is asked about: what it is given, else that of the connection."""

EARLIER = "moment_of(since)", "coalesce(known_since::BIGINT, known_at::BIGINT)"
"""The earlier moment of a comparison: NULL, unless it is given."""

MOMENT_OF = """
CREATE OR REPLACE MACRO {catalog}.main.moment_of(said) AS (
  CASE WHEN regexp_full_match(said::VARCHAR, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')
    THEN try_cast(said AS DATE)::TIMESTAMPTZ + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND
    ELSE said::TIMESTAMPTZ END);
COMMENT ON MACRO {catalog}.main.moment_of IS
  'A time as readers say it: a bare date is the end of that day.'"""

POSITION_AT = """
CREATE OR REPLACE MACRO {catalog}.main.position_at(moment) AS (
  SELECT coalesce(max(position), 0) FROM {catalog}.stored.event
  WHERE recorded_at <= {catalog}.main.moment_of(moment));
COMMENT ON MACRO {catalog}.main.position_at IS
  'Position of the last event that was recorded by a time.'"""


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
                    f"{name}_history", f"Every version: {told}", _begun(rows, *ASKED)
                )
                yield from self._macro("at", WAS, MOMENT, self._seen(rows, *GIVEN))
                yield from self._macro("between", CHANGED, PERIOD, self._between(rows))

    def versions(self) -> str:
        """Every version of every record."""
        name = self.table.name
        closed = self.select(f"{name}_past", [column.name for column in END])
        open_ = [f"NULL::{column.type} AS {column.name}" for column in END]
        return f"{closed} UNION ALL {self.select(f'{name}_current', open_)}"

    def _happened(self, rows: str, as_of: str, known_at: str) -> str:
        """Facts that had happened, and were known; but for those of what was retracted since."""
        happened = self._followed(_happened(rows, as_of, known_at), as_of, known_at)
        if not self.retracted or self.table.name in WHOLE:
            return happened
        retracted = (
            f"SELECT id, position, effective_at, occurred_at "
            f"FROM {quoted(self.log)}.stored.{RETRACTION}"
        )
        return (
            f"SELECT * FROM ({happened}) AS fact WHERE NOT EXISTS ("
            f"SELECT 1 FROM ({_happened(retracted, as_of, known_at)}) AS retracted "
            "WHERE retracted.id = fact.id AND retracted.position > fact.position)"
        )

    def _true(self, rows: str, as_of: str, known_at: str) -> str:
        """Versions that were true, as far as was known: one a record at most."""
        true = _true(rows, as_of, known_at)
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
        return borrowed(true, names, _true(plain, as_of, known_at))

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

    def _between(self, rows: str) -> str:
        """Columns that differ between two moments, and the last event that set each."""
        since, known_since = EARLIER
        entity = ", ".join(quoted(name) for name in self.table.entity)
        compared = [c.name for c, _ in self.columns if c not in BEGIN and c.name != "digest"]
        values = ", ".join(
            f"{{column_name: {text(name)}, value: compared.{quoted(name)}::VARCHAR}}"
            for name in compared
            if name not in self.table.entity
        )
        return f"""
  WITH known AS (
    SELECT *, coalesce((since IS NOT NULL OR known_since IS NOT NULL)
      AND ({since} IS NULL OR valid_from <= {since})
      AND ({known_since} IS NULL OR position <= {known_since}), false) AS _before
    FROM ({_begun(rows, *GIVEN)})
  ), compared AS (
    FROM known
    QUALIFY NOT _before OR NOT lead(_before) OVER (PARTITION BY {entity} ORDER BY position)
  ), told AS (
    SELECT {entity}, position, _before, unnest([{values}], recursive := true)
    FROM compared
  ), followed AS (
    SELECT *, value IS DISTINCT FROM lag(value) OVER (
      PARTITION BY {entity}, column_name ORDER BY position) AS is_set
    FROM told
  ), changed AS (
    SELECT
      {entity},
      if(bool_or(_before), 'changed', 'appeared') AS change,
      column_name,
      any_value(value) FILTER (_before) AS old_value,
      arg_max_null(value, position) AS new_value,
      count(*) FILTER (NOT _before) AS versions,
      max(position) FILTER (NOT _before AND is_set) AS position
    FROM followed
    GROUP BY {entity}, column_name
    HAVING old_value IS DISTINCT FROM new_value
  )
  SELECT changed.*, event.type, event.event_id, event.occurred_at, event.recorded_at, event.actor
  FROM changed
  LEFT JOIN {quoted(self.log)}.stored.event USING (position)
  ORDER BY position, {entity}, column_name"""


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
