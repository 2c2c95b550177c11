"""Learners at work on a log: what they say is appended together with how far they have come."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import structlog

from domain.score import ScoreEvent, score_id
from domain.user import MODELS
from eventstore.envelope import NewEvent, RecordedEvent
from eventstore.saying import say
from eventstore.writer import LOST
from learning.base import Learner, Training, score_event_id
from learning.snapshot import restore, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event as Flag
    from uuid import UUID

    from eventstore.envelope import Row
    from eventstore.log import Log
    from eventstore.workspace import Workspace

BATCH_EVENTS = 500
PASSED_MAX = 4 * BATCH_EVENTS
"""Positions looked at in one step. To find the first few of those it follows, PostgreSQL may look
at all it is asked of: of a long log that lies ahead, 30 µs for each event, not 5."""

PIECE_SAID = 256
"""Score events stored in one go: whoever wants to write waits meanwhile, 6 ms. A writer decides
once more when somebody else has written, so smaller pieces would cost it more."""

SNAPSHOT_EVENTS = 50_000
"""After a crash so many are learned again, 90 µs each. To save 10,000 leads takes 0.3 seconds."""

SNAPSHOT_BYTES_PER_EVENT = 500
"""A large training is saved more rarely, so that saving never costs more than learning."""

STEP_SECONDS = 0.2
"""How often learners that keep up take their turn to write: commands have to wait for it."""

REST_SHARE = 5.0
REST_SECONDS_MAX = 1.0
"""Learners that do not keep up with what others write rest so many times as long as a step took:
on a busy machine commands go first, and scores come later. What is left when nothing new comes is
made up for without rest. A lower priority would not do: a learner that has to wait for a processor
while it holds the lock of the log keeps all commands waiting (their p99 was a third higher)."""

WAIT_SECONDS = 1.0
RETRY_SECONDS = 2.0

logger = structlog.get_logger()


class Overtaken(Exception):
    """Another process has moved the bookmark of this learner."""


@dataclass(frozen=True, slots=True)
class Said:
    """A score event, the event that gave rise to it, and which of its consequences it is."""

    cause: RecordedEvent
    number: int
    event: ScoreEvent


def listen(training: Training, events: Iterator[RecordedEvent]) -> Iterator[Said]:
    """What a learner says of `events`, one after the other."""
    for recorded in events:
        for number, event in enumerate(training.follow(recorded)):
            yield Said(recorded, number, event)


def bookmark_of(log: Log, learner: Learner) -> int:
    """Position of the last event a learner has spoken about, or had nothing to say about."""
    return log.bookmarks.max_tracking_id(bookmark_name(learner)) or 0


def bookmark_name(learner: Learner) -> str:
    """The name under which PostgreSQL keeps the learner's bookmark."""
    return f"learning.{learner.name}"


class Follower:
    """One learner, following the log of a workspace from where it left off.

    What lies before its bookmark is learned in silence: it was spoken about already.
    """

    def __init__(self, workspace: Workspace, learner: Learner) -> None:
        self.log = workspace.log
        self.directory = workspace.directory / "models"
        self.types = learner.types()
        self.bookmark = bookmark_of(self.log, learner)
        fresh = Training(learner)
        self.training, self.position = restore(self.directory, fresh, self.bookmark, self.log)
        self.appended = 0
        self._unsaved = 0
        self._saved_bytes = 0

    @property
    def learner(self) -> Learner:
        """Who follows."""
        return self.training.learner

    def step(self) -> bool:
        """Follow the next events, if there are any, and append what the learner says of them."""
        silent = self.position < self.bookmark
        last = self.bookmark if silent else self.log.last_position()
        end = min(last, self.position + PASSED_MAX)
        batch = list(self.log.read(self.position, until=end, types=self.types, limit=BATCH_EVENTS))
        position = batch[-1].position if len(batch) == BATCH_EVENTS else end
        said = list(listen(self.training, iter(batch)))
        if said and not silent:
            self._append(said, position)
            logger.info(
                "learned",
                learner=self.learner.name,
                events=len(batch),
                said=len(said),
                position=position,
            )
        self.position = position
        self._unsaved += len(batch)
        if self._unsaved >= max(SNAPSHOT_EVENTS, self._saved_bytes // SNAPSHOT_BYTES_PER_EVENT):
            keep_bookmarks([self])
            self.save()
        return silent or bool(batch) or position < last

    def save(self) -> None:
        """Write a snapshot of what has been learned; its bookmark has to be kept first."""
        if self._unsaved and self.position <= self.bookmark:
            self._saved_bytes = save(self.directory, self.training, self.position, self.log)
            self._unsaved = 0

    def _append(self, said: Sequence[Said], position: int) -> None:
        """Store what is said of the events up to a position, a piece at a time."""
        events = self._enveloped(said)
        while events:
            size = _whole_causes(said, PIECE_SAID)
            reached = said[size - 1].cause.position if size < len(said) else position
            self.move(reached, self.log.rows(events[:size]))
            said, events = said[size:], events[size:]

    def _enveloped(self, said: Sequence[Said]) -> list[NewEvent]:
        # Nobody else appends to the streams of this learner, so their versions may be looked up
        # before the log is locked.
        learner = self.learner
        ids = {one.event.subject_id for one in said}
        streams = {subject_id: score_id(learner.name, subject_id) for subject_id in ids}
        versions = self.log.heads(streams.values())
        events = []
        for one in said:
            stream_id = streams[one.event.subject_id]
            versions[stream_id] += 1
            events.append(enveloped(one, learner, stream_id, versions[stream_id]))
        return events

    def move(self, position: int, rows: Sequence[Row] = ()) -> None:
        """Note how far it has come, with what it says; raises `Overtaken`.

        Nobody else may have spoken for this learner meanwhile.
        """
        if not say(self.log, bookmark_name(self.learner), self.bookmark, position, rows):
            found = bookmark_of(self.log, self.learner)
            raise Overtaken(f"{self.learner.name} stood at {self.bookmark}, now at {found}")
        self.bookmark = position
        self.appended += len(rows)


def _whole_causes(said: Sequence[Said], most: int) -> int:
    """How many to store in one go: all that one event gave rise to stays together."""
    size = min(most, len(said))
    while size < len(said) and said[size].cause is said[size - 1].cause:
        size += 1
    return size


def enveloped(said: Said, learner: Learner, stream_id: UUID, version: int) -> NewEvent:
    """A score event on its way into the log: it holds for the time of what gave rise to it."""
    return NewEvent(
        event_id=score_event_id(said.cause, learner, said.number),
        stream_id=stream_id,
        version=version,
        occurred_at=said.cause.occurred_at,
        actor=MODELS,
        correlation_id=said.cause.correlation_id,
        causation_id=said.cause.event_id,
        event=said.event,
    )


def keep_bookmarks(followers: Sequence[Follower]) -> None:
    """Note in PostgreSQL how far the followers have come with nothing to say."""
    for follower in followers:
        if follower.position > follower.bookmark:
            follower.move(follower.position)


def follow(workspace: Workspace, learners: Sequence[type[Learner]], stop: Flag) -> None:
    """Follow the log until `stop` is set, through lost connections.

    One process speaks for a workspace; others that try wait in reserve.
    """
    while not stop.is_set():
        try:
            with _alone(workspace.log) as alone:
                if alone:
                    _follow(workspace, [Follower(workspace, each()) for each in learners], stop)
        except (Overtaken, psycopg.OperationalError, psycopg.InterfaceError, *LOST) as error:
            logger.warning("learning interrupted", error=str(error))
        stop.wait(RETRY_SECONDS)


def catch_up(
    workspace: Workspace, learners: Sequence[type[Learner]], progress: Callable[[int], None]
) -> None:
    """Follow the log to its present end, one learner after the other, and return.

    `progress` is told how many positions were passed; at the end they add up to the length of the
    log for each learner, less what it had behind it already. Raises `Overtaken` when another
    process is at it.
    """
    last = workspace.log.last_position()
    with _alone(workspace.log) as alone:
        if not alone:
            raise Overtaken("the learners of this workspace are at work in another process")
        followers = [Follower(workspace, each()) for each in learners]
        for follower in followers:
            before = follower.position
            while before < last and follower.step():
                progress(min(follower.position, last) - before)
                before = min(follower.position, last)
            progress(last - before)
        keep_bookmarks(followers)
        for follower in followers:
            follower.save()


def _follow(workspace: Workspace, followers: Sequence[Follower], stop: Flag) -> None:
    log = workspace.log
    while not stop.is_set():
        began, others = time.monotonic(), _others(log, followers)
        busy = [follower.step() for follower in followers]
        reached = min(follower.position for follower in followers)
        if not any(busy):
            keep_bookmarks(followers)
            while not stop.is_set() and not log.wait(reached, WAIT_SECONDS):
                pass
        took = time.monotonic() - began
        if log.last_position() - reached < BATCH_EVENTS:
            stop.wait(STEP_SECONDS - took)
        elif _others(log, followers) > others:
            stop.wait(min(REST_SECONDS_MAX, REST_SHARE * took))
    keep_bookmarks(followers)
    for follower in followers:
        follower.save()


def _others(log: Log, followers: Sequence[Follower]) -> int:
    """Rises when somebody else appends to the log."""
    return log.last_position() - sum(follower.appended for follower in followers)


@contextmanager
def _alone(log: Log) -> Iterator[bool]:
    """Whether this is the one process that learns; it stays so until the block ends."""
    name = (f"learning:{log.schema}",)
    with log.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS alone", name)
        row = cursor.fetchone()
        alone = bool(row and row["alone"])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(hashtext(%s))", name)
