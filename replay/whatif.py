"""What if: the log folded twice, as it is and by other rules, and what the reports then say.

Both read sides are made anew in a folder of their own. Nothing that counts is touched: the log is
read, the tables of the workspace are not even opened.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from projections.catch_up import catch_up
from projections.tables import Tables
from replay.contrast import Contrast, contrast, reports
from replay.movers import Moved, moved
from replay.redecision import REFUSED, Otherwise, Qualifications, told
from replay.reread import Force, Retold, pages, reader, retold
from replay.rescoring import Silenced, learned, trainings
from replay.rules import RulesInvalid
from replay.stage_map import StageMap, resolved
from replay.tables import unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from readmodels.base import Database
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
OF_LEADS = ("lead_funnel", "lead_sources")
OF_LEARNERS = ("learner_performance", "learner_calibration")
PEOPLE = "What anybody would have done otherwise, had these been the rules."


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
    told_otherwise: Mapping[str, int]
    """By type of event, how many would say something else."""
    left_out: Mapping[str, int]
    """By type of event, how many would not have happened."""
    tables: Mapping[str, bool]
    """Whether each table would be the same."""
    reports: tuple[Contrast, ...]
    decisions: tuple[Otherwise, ...]
    """Decisions that would have been others, in the order of the log."""
    scores: tuple[Moved, ...]
    """How far the last scores move, of each learner that would learn otherwise."""
    not_known: tuple[str, ...] = ()
    """What cannot be told, in words."""

    def told(self) -> str:
        """How far the rules reach, in words."""
        otherwise, left_out = sum(self.told_otherwise.values()), sum(self.left_out.values())
        force = "always in force" if self.since is None else f"in force after {_said(self.since)}"
        return (
            f"The log up to position {self.position:,}, as of {_said(self.moment)}; "
            f"the rules are {force}. "
            f"{otherwise:,} events would say something else, {left_out:,} would not have happened."
        )


def _said(moment: int | datetime) -> str:
    return f"position {moment:,}" if isinstance(moment, int) else f"{moment:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Sides:
    """Two read sides of one log."""

    base: Tables
    other: Tables


@dataclass(frozen=True)
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

    @property
    def steps(self) -> int:
        """How many positions are passed in all."""
        return self.until * (4 if self.rules.score else 2)

    def asked(self) -> list[str]:
        """The reports to compare: those named, or those that the rules are about."""
        about = [*(OF_DEALS if self.rules.pipeline else ())]
        about += OF_LEADS if self.rules.rule.qualification else ()
        about += OF_LEARNERS if self.rules.score else ()
        return [*(self.reports or about)]


class Telling:
    """The log as it is told by other rules, and what is known of that afterwards."""

    def __init__(self, question: Question) -> None:
        self.question, self.rules = question, question.rules
        self.counted = Retold()
        self._stages: StageMap | None = None
        self._qualifications: Qualifications | None = None
        self._pipelines: list[RecordedEvent] = []
        if self.rules.pipeline:
            hidden = question.log.without_keys()
            self._pipelines = list(hidden.read(until=question.until, types=["pipeline"]))
        self._others = resolved(self.rules.pipeline, self._pipelines)
        self._learning = trainings(self.rules.score)

    def pages(self, progress: Progress) -> Iterator[pa.Table]:
        """The log, and behind its end what learners say of it."""
        yield from self._retold(self.counted, progress)
        if self._learning:
            again = self._retold(Retold(), lambda at: progress(self.question.until + at))
            yield from learned(again, self._learning, self.question.until)

    def _retold(self, counted: Retold, progress: Progress) -> Iterator[pa.Table]:
        retells: dict[str, Retell] = {}
        if self.rules.pipeline:
            stages = StageMap(self._others, self._pipelines, Force(self.question.after))
            retells |= {"pipeline": stages.pipeline, "deal": stages.deal}
            self._stages = stages
        if rule := self.rules.rule.qualification:
            self._qualifications = Qualifications(rule, Force(self.question.after))
            retells["lead"] = self._qualifications.lead
        silence = {"score": Silenced(frozenset(self.rules.score)).score} if self.rules.score else {}
        for page in pages(self.question.log.read_arrow, self.question.until):
            yield retold(retold(page, silence, Retold()), retells, counted)
            progress(page["position"][-1].as_py())

    def not_known(self) -> tuple[str, ...]:
        """What cannot be told, in words."""
        said = [PEOPLE] if self.rules.changes else []
        said += self._stages.not_known() if self._stages else ()
        return (*said, REFUSED) if self._qualifications else tuple(said)

    def decisions(self, base: Database, moment: datetime) -> tuple[Otherwise, ...]:
        """What would have been decided otherwise, and what came of it as it was."""
        found = self._qualifications.otherwise if self._qualifications else ()
        return tuple(told(found, base, moment))

    def check(self) -> None:
        """Raises RulesInvalid for what turned out not to be there."""
        for training in self._learning:
            if missing := training.unmatched:
                where = f"score.{training.learner.name}.without"
                raise RulesInvalid(f"{where}: the learner has no input {', '.join(missing)}")


@contextmanager
def what_if(
    question: Question, folder: Path, progress: Progress = unseen
) -> Iterator[tuple[WhatIf, Sides]]:
    """Fold both sides in an empty folder and compare them; they stay open within the block."""
    asked = reports(question.asked())
    _must_begin(question, question.until)
    _must_begin(question, question.as_of)
    base, other = Telling(replace(question, rules=question.rules.none())), Telling(question)
    newest = _fold(folder / "base", base.pages(progress))
    moment = question.as_of or newest
    _must_begin(question, moment)
    _fold(folder / "other", other.pages(lambda at: progress(question.steps // 2 + at)))
    other.check()
    # Only now both are open: what a fold carries along takes more memory than to ask.
    with closing(Tables(folder / "base")) as was, closing(Tables(folder / "other")) as would_be:
        sides = Sides(was, would_be)
        yield _compared(other, sides, asked, moment), sides


def _must_begin(question: Question, end: int | datetime | None) -> None:
    """Refuse rules that come into force when all is over."""
    after = question.after
    if (isinstance(after, int) and isinstance(end, int) and after >= end) or (
        isinstance(after, datetime) and isinstance(end, datetime) and after >= end
    ):
        raise RulesInvalid(
            f"the rules would be in force after {_said(after)}, and nothing later is looked at: "
            f"what is asked about ends at {_said(end)}"
        )


def _fold(folder: Path, coming: Iterator[pa.Table]) -> datetime:
    """Make tables of a log; the time of its newest event."""
    with closing(Tables(folder)) as tables:
        with tables.filling():
            for _ in catch_up(tables, reader(coming)):
                pass
        [(moment,)] = tables.database.query("SELECT moment()").rows()
    return moment or datetime.min.replace(tzinfo=UTC)


def _compared(telling: Telling, sides: Sides, asked: Sequence[Query], moment: datetime) -> WhatIf:
    question, base, other = telling.question, sides.base.database, sides.other.database
    since = question.after if isinstance(question.after, datetime) else None
    digests = other.digests()
    return WhatIf(
        title=question.rules.title,
        since=question.after,
        position=question.until,
        moment=moment,
        told_otherwise=dict(sorted(telling.counted.otherwise.items())),
        left_out=dict(sorted(telling.counted.left_out.items())),
        tables={name: digests[name] == digest for name, digest in base.digests().items()},
        reports=tuple(contrast(query, base, other, moment, since) for query in asked),
        decisions=telling.decisions(base, moment),
        scores=tuple(moved(name, base, other, moment) for name in question.rules.score),
        not_known=telling.not_known(),
    )
