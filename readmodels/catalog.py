"""The catalogue: every table, column, macro, metric and event, what it means and comes from.

Nothing is written for it: it is read out of the declarations, docstrings and comments.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from domain import EVENTS
from readmodels import (
    activity,
    campaign,
    contact,
    customer,
    deal,
    lead,
    learner,
    merger,
    pipeline,
    score,
    ticket,
    user,
)
from readmodels.between import BETWEEN, CHANGED
from readmodels.lineage import sources
from readmodels.macros import macros
from readmodels.moments import MOMENT, PERIOD
from readmodels.query import Query
from readmodels.schema import END, Column, Table
from readmodels.units import UNITS, currency_of, days, hours, ordinal, share, unit_of
from readmodels.views import WAS, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from readmodels.base import Database

Kind = Literal["dimension", "fact", "plain", "view", "macro", "report", "function", "event"]

Fed = Mapping[str, AbstractSet[str]]
"""The events that feed each column, as `deal.amount`."""

MODULES = (
    lead,
    customer,
    contact,
    merger,
    deal,
    pipeline,
    activity,
    ticket,
    campaign,
    user,
    score,
    learner,
)

PARAMETERS = {
    "as_of": "Only what had happened by then: a time; a bare date is the end of that day.",
    "known_at": "Only what the log knew by then: a position in it.",
    "since": "The earlier moment; NULL: before anything happened.",
    "known_since": "What the log knew at the earlier moment; NULL: the same as known_at.",
    "customer": "Id of the customer.",
    "contact": "Id of the contact.",
    "until": "The later time.",
    "part": "The part.",
    "whole": "The whole.",
    "said": "A time, or a date.",
    "moment": "A time; a bare date is the end of that day.",
}

FUNCTIONS = {
    "moment_of": "A time as readers say it: a bare date is the end of that day.",
    "position_at": ordinal("Position of the last event that was recorded by a time."),
}
"""What macros say that are not in SQL files, and in which unit."""

RESULTS = {"hours_between": hours, "days_between": days, "share": share}
"""Units of what macros of SQL files give."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where values come from.

    `events` are the types of all events that feed them, `columns` the columns they are computed
    from (a bare table: from its rows), `fields` what of each event.
    """

    events: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A column; a metric is a number that a report gives."""

    name: str
    type: str
    description: str
    unit: str
    currency: str
    lineage: Lineage
    metric: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that has a name in SQL, or an event. `of` is the table it is a form of."""

    name: str
    kind: Kind
    description: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Described, ...] = ()
    key: tuple[str, ...] = ()
    of: str = ""
    unit: str = ""
    personal: bool = False
    feeds: tuple[str, ...] = ()
    sql: str = ""


class NotInCatalog(Exception):
    """The catalogue does not have what was asked for."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name = name
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"the catalogue has no {name!r}{hint}")


class Catalog:
    """All entries, by name; columns too, as `deal.amount`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = {entry.name: entry for entry in entries}

        self._columns = {f"{e.name}.{c.name}": c for e in entries for c in e.columns}

    def find(self, name: str) -> Entry | Described:
        """The entry of a table, macro, report or event, or a column of one."""
        found = self.entries.get(name) or self._columns.get(name)
        if found is None:
            raise NotInCatalog(name, get_close_matches(name, [*self.entries, *self._columns], n=3))
        return found

    def document(self) -> dict[str, Any]:
        """All of it as one object for JSON."""
        return {
            "units": {unit.name: unit.means for unit in UNITS},
            "metrics": [
                f"{entry.name}.{column.name}"
                for entry in self.entries.values()
                for column in entry.columns
                if column.metric
            ],
            "entries": [asdict(entry) for entry in self.entries.values()],
        }


@cache
def queries() -> dict[str, Query]:
    """Every question that is a report, by name."""
    found = (vars(module) for module in MODULES)
    return {q.name: q for names in found for q in names.values() if isinstance(q, Query)}


def catalog(database: Database) -> Catalog:
    """The catalogue of a database."""
    views = database.views()
    fed = {
        f"{view.table.name}.{column.name}": {feed.event for feed in column.feeds}
        for view in views
        for column, _ in view.columns
    }
    entries = [entry for view in views for entry in _forms(view, fed)]
    tables = {entry.name: entry for entry in entries if not entry.of}
    entries += [*_reports(database, tables), *_functions()]
    return Catalog([*entries, *_events(entries)])


def _forms(view: View, fed: Fed) -> Iterator[Entry]:
    """A table, and the macros that show it at a moment or between two."""
    table = view.table
    ends = END if table.kind == "dimension" else ()
    columns = tuple(_of_table(table, c, fed) for c in (*(c for c, _ in view.columns), *ends))
    name, told = table.name, table.description
    personal: dict[str, Any] = {"personal": table.personal}
    yield Entry(name, table.kind, told, columns=columns, key=table.entity, **personal)
    if table.kind == "plain":
        return
    yield Entry(f"{name}_at", "macro", f"{WAS} {told}", _given(MOMENT), of=name, **personal)
    if table.kind == "dimension":
        told_all = f"Every version: {told}"
        yield Entry(f"{name}_history", "view", told_all, of=name, **personal)
        keys = (c for c, _ in view.columns if c.name in table.entity)
        columns = tuple(_of_table(table, column, fed) for column in (*keys, *BETWEEN))
        yield Entry(
            f"{name}_between",
            "macro",
            f"{CHANGED} {told}",
            _given(PERIOD),
            columns,
            of=name,
            **personal,
        )


def _given(names: Sequence[str]) -> dict[str, str]:
    return {name: PARAMETERS[name] for name in names}


def _of_table(table: Table, column: Column, fed: Fed) -> Described:
    events = {event for feed in column.feeds for event in (feed.event, *fed.get(feed.value, ()))}
    fields = tuple(f"{feed.event}: {feed.value}" for feed in column.feeds)
    lineage = Lineage(tuple(sorted(events or table.events)), (), fields)
    return Described(
        column.name, column.type, column.description, column.unit, column.currency, lineage
    )


def _reports(database: Database, tables: Mapping[str, Entry]) -> Iterator[Entry]:
    """Every report, its columns followed back to the events."""
    known = {name: tuple(c.name for c in entry.columns) for name, entry in tables.items()}
    fed = {f"{name}.{c.name}": c.lineage.events for name, t in tables.items() for c in t.columns}
    fed |= {name: _all(entry) for name, entry in tables.items()}
    bodies = _bodies(database)
    for macro in macros().values():
        if not macro.is_table or macro.name not in bodies:
            continue
        found = sources(bodies[macro.name], macro.parameters, known)
        columns = []
        for name, type_ in _columns(database, macro.name, len(macro.parameters)):
            events = {event for source in found[name] for event in fed[source]}
            described = queries()[macro.name].columns[name]
            unit = unit_of(described)
            lineage = Lineage(tuple(sorted(events)), found[name])
            columns.append(
                Described(name, type_, described, unit, currency_of(described), lineage, bool(unit))
            )
            fed[f"{macro.name}.{name}"] = lineage.events
        parameters = _given(macro.parameters)
        entry = Entry(
            macro.name, "report", macro.description, parameters, tuple(columns), sql=macro.sql
        )
        known[macro.name] = tuple(column.name for column in columns)
        fed[macro.name] = _all(entry)
        yield entry


def _all(entry: Entry) -> tuple[str, ...]:
    return tuple(sorted({event for column in entry.columns for event in column.lineage.events}))


def _bodies(database: Database) -> dict[str, str]:
    """The SELECT of every table macro, as DuckDB understood it."""
    asked = (
        "SELECT function_name, macro_definition FROM duckdb_functions() "
        "WHERE function_type = 'table_macro' AND database_name = current_database()"
    )
    return dict(database.query(asked).iter_rows())


def _columns(database: Database, report: str, parameters: int) -> list[tuple[str, str]]:
    given = ", ".join(["NULL"] * parameters)
    described = database.query(f"DESCRIBE FROM {report}({given})")
    return list(zip(described["column_name"], described["column_type"], strict=True))


def _functions() -> Iterator[Entry]:
    """Macros that give one value."""
    given = {"moment_of": ("said",), "position_at": ("moment",)}
    for name, told in FUNCTIONS.items():
        yield Entry(name, "function", told, _given(given[name]), unit=unit_of(told))
    for macro in macros().values():
        if not macro.is_table:
            unit = RESULTS[macro.name].name if macro.name in RESULTS else ""
            parameters = _given(macro.parameters)
            yield Entry(
                macro.name, "function", macro.description, parameters, unit=unit, sql=macro.sql
            )


def _events(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Every event, and the columns it feeds in tables and reports."""
    for name, event in EVENTS.items():
        feeds = tuple(
            f"{entry.name}.{column.name}"
            for entry in entries
            for column in entry.columns
            if name in column.lineage.events and (column.lineage.fields or column.metric)
        )
        yield Entry(name, "event", inspect.cleandoc(event.__doc__ or ""), feeds=feeds)
