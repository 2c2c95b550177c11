"""Scores as a learner would have given them: the log learned anew, in its order.

What it had said is left out of the log; what it says instead stands at its end, as if it had been
let loose on all of it then, each score at the time of what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from domain.score import score_id
from learning import LEARNERS
from learning.base import Training
from learning.follower import enveloped, listen
from learning.models import MODELS
from replay.reread import UNSEEN, Row
from replay.rules import RulesInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from eventstore.envelope import RecordedEvent
    from learning.follower import Said
    from replay.rules import OtherLearner

SAID_ROWS = 10_000


def trainings(others: Mapping[str, OtherLearner]) -> list[Training]:
    """Learners that know nothing yet; raises RulesInvalid for one that there is not."""
    known = {learner.name: learner for learner in LEARNERS}
    for name in others:
        if name not in known:
            raise RulesInvalid(f"score.{name}: there is no such learner; there are {_list(known)}")
    return [
        Training(learner(), _model(others[name]), without=others[name].without)
        for name, learner in known.items()
        if name in others
    ]


def _model(other: OtherLearner) -> Any:
    stated = other.model.model_dump()
    return MODELS[stated.pop("kind")](**stated)


@dataclass(frozen=True, slots=True)
class Silenced:
    """Leaves out what some learners said."""

    learners: frozenset[str]

    def score(self, row: Row) -> Row | None:
        """The row of another learner, or nothing."""
        return None if orjson.loads(row.data)["learner"] in self.learners else row


def learned(
    pages: Iterator[pa.Table], learning: Sequence[Training], end: int
) -> Iterator[pa.Table]:
    """What learners say of a log, as pages of events behind its `end`."""
    follows = {type_ for each in learning for type_ in each.learner.types()}
    said: list[dict[str, Any]] = []
    versions: dict[UUID, int] = {}
    schema: pa.Schema | None = None
    for page in filter(len, pages):
        schema, now = page.schema, page["recorded_at"][-1].as_py()
        wanted = [at for at, type_ in enumerate(page["type"].to_pylist()) if type_ in follows]
        for row in page.select(Row._fields).take(wanted).to_pylist():
            for one, by in _heard(Row(**row).opened(), learning):
                end += 1
                said.append(_row(one, by, versions, end, now))
        while len(said) >= SAID_ROWS:
            yield pa.Table.from_pylist(said[:SAID_ROWS], schema)
            del said[:SAID_ROWS]
    if said:
        yield pa.Table.from_pylist(said, schema)


def _heard(
    recorded: RecordedEvent, learning: Sequence[Training]
) -> Iterator[tuple[Said, Training]]:
    for each in learning:
        if isinstance(recorded.event, each.learner.follows):
            for said in listen(each, iter([recorded])):
                yield said, each


def _row(
    said: Said, by: Training, versions: dict[UUID, int], position: int, now: datetime
) -> dict[str, Any]:
    """A score on its way into the tables."""
    stream = score_id(by.learner.name, said.event.subject_id)
    version = versions[stream] = versions.get(stream, 0) + 1
    new = enveloped(said, by.learner, stream, version)
    return Row(
        position=position,
        event_id=new.event_id.bytes,
        stream_id=stream.bytes,
        version=version,
        type=new.event.type,
        recorded_at=now,
        occurred_at=said.cause.occurred_at,
        actor=new.actor.bytes,
        correlation_id=new.correlation_id.bytes,
        causation_id=said.cause.event_id.bytes,
        data=UNSEEN.to_stored_event(new).state,
    )._asdict()


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names)
