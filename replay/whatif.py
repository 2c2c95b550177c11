"""What if: the log folded twice, as it is and by other rules, and what the reports then say.

Both read sides are made anew in a folder of their own. Nothing that counts is touched: the log is
read, the tables of the workspace are not even opened.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from projections.catch_up import catch_up
from projections.tables import Tables
from replay.contrast import Contrast, contrast, reports
from replay.reread import Force, Retold, pages, reader, retold
from replay.rules import RulesInvalid
from replay.stage_map import StageMap, resolved
from replay.tables import unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from eventstore.log import Log
    from readmodels.query import Query
    from replay.reread import Retell
    from replay.rules import Rules
    from replay.tables import Progress

OF_DEALS = (
    "deal_pipeline",
    "deal_forecast",
    "win_loss",
    "stage_duration_summary",
    "pipeline_waterfall",
)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would be other by other rules."""

    title: str
    since: int | datetime | None
    """In force after this moment."""
    position: int
    """How far the log was read."""
    moment: datetime
    """The moment the reports are about."""
    events: int
    told_otherwise: Mapping[str, int]
    """By type of event, how many would say something else."""
    left_out: Mapping[str, int]
    """By type of event, how many would not have happened."""
    tables: Mapping[str, bool]
    """Whether each table would be the same."""
    reports: tuple[Contrast, ...]
    not_known: tuple[str, ...] = ()
    """What cannot be told, in words."""

    def told(self) -> str:
        """How far the rules reach, in words."""
        otherwise, left_out = sum(self.told_otherwise.values()), sum(self.left_out.values())
        force = "always in force" if self.since is None else f"in force after {_said(self.since)}"
        return (
            f"{self.events:,} events up to position {self.position:,}; the rules are {force}. "
            f"{otherwise:,} events would say something else, {left_out:,} would not have happened."
        )


def _said(moment: int | datetime) -> str:
    return f"position {moment:,}" if isinstance(moment, int) else f"{moment:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Sides:
    """Two read sides of one log."""

    base: Tables
    other: Tables


@dataclass
class Question:
    """Other rules for a range of a log."""

    log: Log
    rules: Rules
    after: int | datetime | None
    until: int
    """How far to read, as a position."""
    as_of: datetime | None = None
    """The moment to ask about; without it, that of the newest event."""
    reports: Sequence[str] = ()
    counted: Retold = field(default_factory=Retold)

    @property
    def steps(self) -> int:
        """How many positions are passed in all."""
        return 2 * self.until

    def asked(self) -> list[str]:
        """The reports to compare: those named, or those that the rules are about."""
        return [*(self.reports or OF_DEALS)]


@contextmanager
def what_if(
    question: Question, folder: Path, progress: Progress = unseen
) -> Iterator[tuple[WhatIf, Sides]]:
    """Fold both sides in an empty folder and compare them; they stay open within the block."""
    asked = reports(question.asked())
    _must_begin(question, question.until)
    stages = _stages(question)
    retells: dict[str, Retell] = {}
    if stages:
        retells = {"pipeline": stages.pipeline, "deal": stages.deal}
    with (
        closing(Tables(folder / "base")) as base,
        closing(Tables(folder / "other")) as other,
    ):
        _fold(base, question, {}, Retold(), progress)
        moment = question.as_of or _newest(base)
        _must_begin(question, moment)
        _fold(other, question, retells, question.counted, lambda at: progress(question.until + at))
        sides = Sides(base, other)
        not_known = tuple(stages.not_known()) if stages else ()
        yield replace(_compared(question, sides, asked, moment), not_known=not_known), sides


def _must_begin(question: Question, end: int | datetime) -> None:
    """Refuse rules that come into force when all is over."""
    after = question.after
    if (isinstance(after, int) and isinstance(end, int) and after >= end) or (
        isinstance(after, datetime) and isinstance(end, datetime) and after >= end
    ):
        raise RulesInvalid(
            f"the rules would be in force after {_said(after)}, and nothing later is looked at: "
            f"what is asked about ends at {_said(end)}"
        )


def _stages(question: Question) -> StageMap | None:
    if not question.rules.pipeline:
        return None
    pipelines = list(question.log.without_keys().read(until=question.until, types=["pipeline"]))
    others = resolved(question.rules.pipeline, pipelines)
    return StageMap(others, pipelines, Force(question.after))


def _fold(
    tables: Tables,
    question: Question,
    retells: Mapping[str, Retell],
    counted: Retold,
    progress: Progress,
) -> None:
    coming = pages(question.log.read_arrow, question.until)
    if retells:
        coming = (retold(page, retells, counted) for page in coming)
    with tables.database.filling():
        for taken in catch_up(tables, reader(coming)):
            progress(min(taken.position, question.until))


def _newest(tables: Tables) -> datetime:
    [(moment,)] = tables.database.query("SELECT moment()").rows()
    return moment or datetime.min.replace(tzinfo=UTC)


def _compared(question: Question, sides: Sides, asked: Sequence[Query], moment: datetime) -> WhatIf:
    base, other = sides.base.database, sides.other.database
    [(events,)] = base.query("SELECT count(*) FROM event").rows()
    since = question.after if isinstance(question.after, datetime) else None
    digests = other.digests()
    return WhatIf(
        title=question.rules.title,
        since=question.after,
        position=question.until,
        moment=moment,
        events=events,
        told_otherwise=dict(sorted(question.counted.otherwise.items())),
        left_out=dict(sorted(question.counted.left_out.items())),
        tables={name: digests[name] == digest for name, digest in base.digests().items()},
        reports=tuple(contrast(query, base, other, moment, since) for query in asked),
    )
