"""What changed between two moments, and which event did it, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from readmodels.moments import EARLIER, GIVEN, begun_at
from readmodels.schema import (
    ACTOR,
    EVENT_ID,
    OCCURRED_AT,
    POSITION,
    RECORDED_AT,
    Column,
    quoted,
    text,
)
from readmodels.units import count

if TYPE_CHECKING:
    from collections.abc import Sequence

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

CHANGED = "What changed between two times, a row for each record and column that differs:"


def between(rows: str, entity: Sequence[str], columns: Sequence[str], log: str) -> str:
    """Columns of an entity that differ between two moments, and the last event that set each.

    `rows` are all versions, with the columns of the entity and those compared; the events are in
    the file `log`.
    """
    since, known_since = EARLIER
    key = ", ".join(map(quoted, entity))
    values = ", ".join(
        f"{{column_name: {text(name)}, value: compared.{quoted(name)}::VARCHAR}}"
        for name in columns
    )
    return f"""
  WITH known AS (
    SELECT *, coalesce((since IS NOT NULL OR known_since IS NOT NULL)
      AND ({since} IS NULL OR valid_from <= {since})
      AND ({known_since} IS NULL OR position <= {known_since}), false) AS _before
    FROM ({begun_at(rows, *GIVEN)})
  ), compared AS (
    FROM known
    QUALIFY NOT _before OR NOT lead(_before) OVER (PARTITION BY {key} ORDER BY position)
  ), told AS (
    SELECT {key}, position, _before, unnest([{values}], recursive := true)
    FROM compared
  ), followed AS (
    SELECT *, value IS DISTINCT FROM lag(value) OVER (
      PARTITION BY {key}, column_name ORDER BY position) AS is_set
    FROM told
  ), changed AS (
    SELECT
      {key},
      if(bool_or(_before), 'changed', 'appeared') AS change,
      column_name,
      any_value(value) FILTER (_before) AS old_value,
      arg_max_null(value, position) AS new_value,
      count(*) FILTER (NOT _before) AS versions,
      max(position) FILTER (NOT _before AND is_set) AS position
    FROM followed
    GROUP BY {key}, column_name
    HAVING old_value IS DISTINCT FROM new_value
  )
  SELECT changed.*, event.type, event.event_id, event.occurred_at, event.recorded_at, event.actor
  FROM changed
  LEFT JOIN {quoted(log)}.stored.event USING (position)
  ORDER BY position, {key}, column_name"""
