"""The stored rows of tables as they were at a moment, for whoever takes them elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from readmodels.schema import END, Table, quoted

if TYPE_CHECKING:
    from datetime import datetime

STREAMS_AT = """
    SELECT id, split_part(any_value(type), '.', 1) AS aggregate, max(version) AS version,
      max(position) AS position, max(effective_at) AS effective_at
    FROM {event} WHERE {known} GROUP BY id"""


def stored_at(
    catalog: str, table: Table, as_of: datetime | None = None, known_at: int | None = None
) -> dict[str, str]:
    """For each stored part of a table, the SELECT of its rows as of a time, known at a position.

    At a position alone they are the rows that were stored when the log had come there.
    """
    stored = f"{quoted(catalog)}.stored"
    if as_of is None and known_at is None:
        return {part: f"FROM {stored}.{quoted(part)}" for part in table.parts()}
    happened = f"'{as_of.isoformat()}'::TIMESTAMPTZ" if as_of else ""
    known = [f"position <= {known_at}"] if known_at is not None else []
    if table.kind == "dimension":
        return _versions(stored, table, happened, known)
    if table.name == "stream":
        known += [f"effective_at <= {happened}"] if happened else []
        events = f"{stored}.{quoted('event')}"
        return {"stream": STREAMS_AT.format(event=events, known=" AND ".join(known))}
    if happened and table.kind == "fact":
        known.append(f"occurred_at <= {happened}")
    where = " AND ".join(known) or "true"
    return {table.name: f"FROM {stored}.{quoted(table.name)} WHERE {where}"}


def _versions(stored: str, table: Table, happened: str, known: list[str]) -> dict[str, str]:
    """Versions that had begun; those that ended later had not."""
    past, current = (f"{stored}.{quoted(part)}" for part in table.parts())
    open_ = ", ".join(f"NULL::{column.type} AS {column.name}" for column in END)
    begun = " AND ".join([*known, *([f"valid_from <= {happened}"] if happened else [])])
    rows = f"SELECT * FROM {past} UNION ALL BY NAME SELECT *, {open_} FROM {current}"
    rows = f"SELECT * FROM ({rows}) WHERE {begun}"
    ended = [condition.replace("position", "position_to") for condition in known]
    ended += [f"valid_to <= {happened}"] if happened else []
    is_past = " AND ".join(ended)
    columns = ", ".join(quoted(column.name) for column in table.stored)
    ends = ", ".join(column.name for column in END)
    return {
        f"{table.name}_past": f"SELECT {columns}, {ends} FROM ({rows}) WHERE {is_past}",
        f"{table.name}_current": f"SELECT {columns} FROM ({rows}) WHERE ({is_past}) IS NOT TRUE",
    }
