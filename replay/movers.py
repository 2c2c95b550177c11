"""Which scores another way of learning would move most, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from readmodels.base import Database

MOVERS_MAX = 20
REASONS_MAX = 3
DIGITS = 9
LATEST = """
    SELECT subject_id::VARCHAR AS subject_id, subject_type, value
    FROM score_at($as_of) WHERE learner = $learner AND value IS NOT NULL"""
EXPLAINED = """
    SELECT subject_id::VARCHAR AS subject,
        max_by(inputs, position), max_by(contributions, position)
    FROM score_change
    WHERE effective_at <= $as_of AND learner = $learner
        AND list_contains($subjects, subject_id::VARCHAR)
    GROUP BY ALL"""


@dataclass(frozen=True, slots=True)
class Reason:
    """What one input gives to a score, in log-odds; None where the model is not told of it."""

    input: str
    says: Any
    was: float | None
    would_be: float | None


@dataclass(frozen=True, slots=True)
class Mover:
    """The last score of a record, as it is and as it would be."""

    subject_id: str
    was: float
    would_be: float
    because: tuple[Reason, ...]
    """Empty where the model cannot say why."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far the last scores of a learner move."""

    learner: str
    subject_type: str
    scores: int
    moved: int
    mean_moved: float
    """By how much, on average over all of them."""
    movers: tuple[Mover, ...]


def moved(learner: str, base: Database, other: Database, moment: datetime) -> Moved:
    """The scores of a learner at a moment; those that move most come first."""
    asked = {"as_of": moment, "learner": learner}
    was, would_be = (side.query(LATEST, asked) for side in (base, other))
    both = was.join(would_be, on="subject_id", suffix="_if")
    both = both.with_columns((pl.col("value_if") - pl.col("value")).abs().alias("by"))
    found = both.filter(pl.col("by") > 0)
    most = found.sort(-pl.col("by"), "subject_id").head(MOVERS_MAX)
    because = [
        _explained(side, asked | {"subjects": most["subject_id"].to_list()})
        for side in (base, other)
    ]
    return Moved(
        learner,
        str(both["subject_type"][0]) if len(both) else "",
        len(both),
        len(found),
        round(float(both["by"].sum() / max(len(both), 1)), DIGITS),
        tuple(
            Mover(
                row["subject_id"],
                row["value"],
                row["value_if"],
                _reasons(*(side[row["subject_id"]] for side in because)),
            )
            for row in most.iter_rows(named=True)
        ),
    )


def _explained(side: Database, asked: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    rows = side.query(EXPLAINED, dict(asked)).iter_rows()
    return {subject: (orjson.loads(said), orjson.loads(gave)) for subject, said, gave in rows}


def _reasons(was: tuple[Any, Any], would_be: tuple[Any, Any]) -> tuple[Reason, ...]:
    (said, gave), (said_then, would_give) = was, would_be
    if len(would_give) == 1 < len(gave):
        return ()
    found = [
        Reason(name, (said | said_then).get(name), gave.get(name), would_give.get(name))
        for name in sorted(gave | would_give)
    ]
    found.sort(key=lambda one: -abs((one.would_be or 0.0) - (one.was or 0.0)))
    return tuple(one for one in found[:REASONS_MAX] if one.was != one.would_be)
