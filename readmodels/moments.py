"""Rows as they were at a moment, on both axes of time, as SQL."""

from __future__ import annotations

from readmodels.schema import END

MOMENT = ("as_of", "known_at")
"""What macros take that tell what was so at a moment, and as far as was known."""

PERIOD = ("since", *MOMENT, "known_since")
"""What macros take that compare a moment with an earlier one, and with what was known then."""

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


def happened_at(rows: str, as_of: str, known_at: str) -> str:
    """Facts that had happened, and were known."""
    return (
        f"SELECT * FROM ({rows}) WHERE ({as_of} IS NULL OR occurred_at <= {as_of}) "
        f"AND ({known_at} IS NULL OR position <= {known_at})"
    )


def begun_at(rows: str, as_of: str, known_at: str) -> str:
    """Versions that had begun and were known, ended only if that was known too."""
    ended = f"CASE WHEN {known_at} IS NULL OR position_to <= {known_at} THEN"
    ends = ", ".join(f"{ended} {column.name} END AS {column.name}" for column in END)
    return (
        f"SELECT * REPLACE ({ends}) "
        f"FROM ({rows}) WHERE ({as_of} IS NULL OR valid_from <= {as_of}) "
        f"AND ({known_at} IS NULL OR position <= {known_at})"
    )


def true_at(rows: str, as_of: str, known_at: str) -> str:
    """Versions that were true, as far as was known: one a record at most."""
    return (
        f"{begun_at(rows, as_of, known_at)} AND (valid_to IS NULL "
        f"OR coalesce(valid_to > {as_of}, false) OR coalesce(position_to > {known_at}, false))"
    )
