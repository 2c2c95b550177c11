"""What a learner is, and how one follows the log: test, then train.

A learner says of each event whether it asks something of the model or knows how an earlier
question came out. All else happens here, the same for every learner and without any side effect:
the same events give the same weights and the same score events, bit by bit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, ClassVar

import orjson

from domain.score import OutcomeLearned, ScoreEvent, ScoreRecorded
from eventstore.envelope import derived
from learning.model import BinnedLogisticRegression, Feature, chance_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from domain.base import Event
    from eventstore.envelope import RecordedEvent
    from learning.models import Model

PLAIN = {str, bool, float, NoneType}


@dataclass(frozen=True, slots=True)
class Ask:
    """How likely is it for this subject, as things stand with this event?

    Asked again with the same features, the last score stands. A question that no `Label` will
    ever answer need not be remembered.
    """

    subject_id: UUID
    features: Mapping[str, Feature]
    remember: bool = True


@dataclass(frozen=True, slots=True)
class Label:
    """It did, or did not, happen: the answer to all that was asked about a subject.

    With `asked_at`, the position of one event, it answers only what was asked then.
    """

    subject_id: UUID
    outcome: bool
    asked_at: int | None = None


class Learner:
    """What is to be foreseen of which subject, from which events.

    An instance keeps its own small fold of the events it follows. It never reads personal
    fields (they are `HIDDEN`), never a table and never a clock: time moves by events.
    `version` goes up when the learner begins to see or to say things differently.
    """

    name: ClassVar[str]
    subject_type: ClassVar[str]
    version: ClassVar[int]
    follows: ClassVar[tuple[type[Event], ...]]
    remembered_max: ClassVar[int] = 5

    @classmethod
    def types(cls) -> list[str]:
        """The stored types of what it follows, those of older shapes too."""
        return [type_ for event in cls.follows for type_ in (event.type, *event.lifts)]

    def observe(self, recorded: RecordedEvent) -> Iterator[Ask | Label]:
        """Fold one event, and say what it asks or answers."""
        raise NotImplementedError


@dataclass(slots=True)
class Prediction:
    """What was said once, from what, to be learned from when the outcome is known."""

    asked_at: int
    lot: bytes
    value: float
    inputs: bytes


@dataclass(slots=True)
class Memory:
    """What was said of one subject: the last inputs, and predictions that wait for an outcome."""

    inputs: bytes = b""
    waiting: list[Prediction] = field(default_factory=list)

    def keep(self, prediction: Prediction, at_most: int) -> None:
        """Remember the first prediction and a fair sample of the later ones.

        Learning every step of a long case at once would drown the short ones. Lots are drawn by
        hashing, so a replay draws the same.
        """
        self.waiting.append(prediction)
        if len(self.waiting) > at_most:
            self.waiting.remove(max(self.waiting[1:], key=lambda kept: kept.lot))

    def take(self, asked_at: int | None) -> list[Prediction]:
        """The predictions an outcome answers; they wait no longer."""
        answered = [kept for kept in self.waiting if asked_at in (None, kept.asked_at)]
        self.waiting = [kept for kept in self.waiting if asked_at not in (None, kept.asked_at)]
        return answered


class Training:
    """A learner at work: event in, score events out, weights changed in between."""

    def __init__(
        self, learner: Learner, model: Model | None = None, *, without: Sequence[str] = ()
    ) -> None:
        """`without` are patterns of inputs that the model is not told of, such as `custom.*`."""
        self.learner = learner
        self.model: Model = model or BinnedLogisticRegression()
        self.without = tuple(without)
        self.unmatched = set(without)
        """Those of them that no input was like so far."""
        self.memories: dict[UUID, Memory] = {}

    def follow(self, recorded: RecordedEvent) -> Iterator[ScoreEvent]:
        """What the learner has to say after one more event."""
        for said in self.learner.observe(recorded):
            if isinstance(said, Ask):
                yield from self._predict(said, recorded)
            else:
                yield from self._learn(said, recorded)

    def _predict(self, ask: Ask, recorded: RecordedEvent) -> Iterator[ScoreRecorded]:
        inputs = _plain(ask.features, self._seen(ask.features))
        stored = orjson.dumps(inputs)
        memory = self.memories.setdefault(ask.subject_id, Memory())
        if memory.inputs == stored:
            return
        memory.inputs = stored
        contributions = self.model.explain_one(inputs)
        value = chance_of(contributions)
        if ask.remember:
            lot = hashlib.blake2b(recorded.event_id.bytes, digest_size=8).digest()
            prediction = Prediction(recorded.position, lot, value, stored)
            memory.keep(prediction, self.learner.remembered_max)
        # Made of events that were checked: to check it once more would take 7 µs.
        yield ScoreRecorded.model_construct(
            learner=self.learner.name,
            subject_type=self.learner.subject_type,
            subject_id=ask.subject_id,
            value=value,
            model_version=f"{self.learner.version}.{self.model.learned}",
            inputs=inputs,
            contributions=contributions,
            cause_position=recorded.position,
        )

    def _seen(self, features: Mapping[str, Feature]) -> Sequence[str]:
        """The names of what the model is told, in one order."""
        if not self.without:
            return _in_order(tuple(features))
        left_out: set[str] = set()
        for pattern in self.without:
            like = {name for name in features if fnmatchcase(name, pattern)}
            left_out |= like
            if like:
                self.unmatched.discard(pattern)
        return sorted(features.keys() - left_out)

    def _learn(self, label: Label, recorded: RecordedEvent) -> Iterator[OutcomeLearned]:
        """Learn the outcome from what was seen when each prediction was made.

        What counts is the first prediction the outcome answers, as it was said then: the one made
        when least was known, and not improved by what was learned since.
        """
        memory = self.memories.get(label.subject_id)
        if memory is None:
            return
        answered = memory.take(label.asked_at)
        if label.asked_at is None:
            del self.memories[label.subject_id]
        for prediction in answered:
            # All points count the same. To let each case count once would understate what is
            # foreseen first: cases that come true are longer, so their beginnings would weigh less.
            self.model.learn_one(orjson.loads(prediction.inputs), label.outcome)
        if answered:
            yield OutcomeLearned(
                learner=self.learner.name,
                subject_type=self.learner.subject_type,
                subject_id=label.subject_id,
                outcome=label.outcome,
                predicted=answered[0].value,
                cause_position=recorded.position,
            )


def score_event_id(cause: RecordedEvent, learner: Learner, number: int) -> UUID:
    """The id of the n-th event a learner appends because of `cause`: said twice, it is one."""
    return derived(cause.event_id, f"{learner.name}:{number}")


@lru_cache(64)
def _in_order(names: tuple[str, ...]) -> Sequence[str]:
    """Names sorted: as a rule the same ones again."""
    return sorted(names)


def _plain(features: Mapping[str, Feature], names: Sequence[str]) -> dict[str, Feature]:
    """A number is a float, so that a score read back from the log equals the one written."""
    plain: dict[str, Feature] = {}
    for name in names:
        value = features[name]
        plain[name] = value if value.__class__ in PLAIN else float(value)  # type: ignore[arg-type]
    return plain
