"""Group commit: one thread per process decides and appends what has queued, in one transaction.

A batch is whatever came while the last commit was under way, and under load the price of a commit
is shared by all in the batch. Only after a batch of many the writer waits a moment (ADR 45).
Decisions are taken while the log is locked, on states checked against the newest versions; or, by
who seems to write alone, before it is locked, and they count only if the log has not moved since
(ADR 46). So a decision, a refusal included, is never stale, and no race is lost.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import psycopg
from eventsourcing.persistence import IntegrityError

from domain.base import fold
from eventstore.batch import Batch, FarBehind
from eventstore.errors import (
    EventStoreError,
    OutcomeUnknown,
    Overloaded,
    StorageFull,
    Unavailable,
)
from eventstore.intent import (
    NOTHING,
    Context,
    IdempotencyKey,
    Intent,
    Looks,
    Outcome,
    Receipt,
)
from eventstore.naming import NamesFarBehind
from eventstore.optimistic import Outdated, Trust
from eventstore.promise import Promise
from eventstore.states import Held, States
from eventstore.transaction import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from domain.base import State
    from eventstore.batch import Decision
    from eventstore.log import Log
    from eventstore.transaction import Transaction

__all__ = ["Context", "IdempotencyKey", "Intent", "Looks", "Outcome", "Receipt", "Writer"]

WAITING_MAX = 10_000
BATCH_MAX = 500
GATHER_FROM, GATHER_SECONDS = 8, 0.010
"""After a batch of so many, those who were just answered have a moment to ask again: until as many
wait as were answered, or for 10 milliseconds. Otherwise the next batch is the half of them that had
to wait, and each of two halves pays for a whole commit. An import asks without waiting for each
answer, and has its writer gather for 0 seconds."""

REPLIES_KEPT_DAYS = 7
SWEEP_SECONDS = 3600.0
RECONNECT_SECONDS = 10.0
LOST = (Unavailable,)
SHARED = (OutcomeUnknown, StorageFull, Unavailable)
"""What befalls a whole batch, whichever commands are in it."""


class Writer:
    """The way into the log for one process. `submit` from any thread."""

    def __init__(
        self, log: Log, *, waiting_max: int = WAITING_MAX, gather_seconds: float = GATHER_SECONDS
    ) -> None:
        self.log = log
        self.states = States()
        self.waiting_max = waiting_max
        self.gather_seconds = gather_seconds
        self._waiting: queue.SimpleQueue[Intent | None] = queue.SimpleQueue()
        self._expected = 0
        """As how many are waited for; 0: nobody is."""
        self._all_there = threading.Event()
        self._thread: threading.Thread | None = None
        self._replies_swept = 0.0
        self._away_since: float | None = None
        self._trust = Trust()

    def start(self) -> Self:
        """Begin to work off what is submitted."""
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Work off what waits, then stop."""
        if self._thread is not None:
            self.gather_seconds = 0.0
            self._all_there.set()
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """How many commands wait for their turn."""
        return self._waiting.qsize()

    def submit(
        self,
        stream_id: UUID,
        of: type[State[Any]],
        decide: Callable[[Decision, Any], Iterable[Any]],
        context: Context,
        looks: Looks = NOTHING,
    ) -> Promise:
        """Queue a decision on a stream. The promise is kept only after the commit.

        It holds the receipt, or the `Refusal` or `EventStoreError` that is the answer.
        """
        if self._waiting.qsize() >= self.waiting_max:
            told = f"{self.waiting_max} commands are waiting; nothing was done"
            return Promise(Overloaded(told))
        promise = Promise()
        self._waiting.put(Intent(stream_id, of, decide, context, promise, looks))
        if self._expected and self._waiting.qsize() >= self._expected:
            self._all_there.set()
        return promise

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            intents = [first]
            last = False
            # While the database is away, one attempt has to do for all who wait.
            while len(intents) < BATCH_MAX or self._away_since is not None:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                    break
                intents.append(more)
            for intent, outcome in zip(intents, self._outcomes(intents), strict=True):
                intent.promise.keep(outcome)
            if last:
                return
            if len(intents) >= GATHER_FROM:
                self._gather(len(intents))

    def _gather(self, answered: int) -> None:
        self._all_there.clear()
        self._expected = min(answered, BATCH_MAX)
        if self.gather_seconds and self.waiting < self._expected:
            self._all_there.wait(self.gather_seconds)
        self._expected = 0

    def _outcomes(self, intents: Sequence[Intent]) -> list[Outcome]:
        try:
            return self._commit(intents)
        except SHARED as error:
            return [type(error)(*error.args) for _ in intents]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is every caller's answer
            self.states.clear()
            self._away_since = None
            if len(intents) == 1:
                return [error]
            # One of them is at fault; alone, each gets its own answer.
            return [outcome for intent in intents for outcome in self._outcomes([intent])]

    def _commit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Decide and append in one transaction: on trust if that is given, else under the lock."""
        batch = Batch(self.log, self.states, intents, careful=False)
        end = None if batch.has_to_look or self._replies_are_due() else self._trust.given
        if end is None:
            return self._commit_locked(intents, None, [])
        sent: list[UUID] = []
        try:
            presumed = batch.presumed(end)
            with self.log.optimistic(presumed) as turn:
                batch.decide(turn)
                batch.must_prove(presumed.blank)
                sent = batch.append(turn)
        except (Outdated, IntegrityError, FarBehind, NamesFarBehind):
            self._trust.broken()
            return self._commit_locked(intents, None, [])
        except LOST:
            self.states.clear()  # the database may come back as a copy that lacks the newest events
            self._trust.broken()
            return self._commit_locked(intents, batch, sent)
        self._trust.proved(_end(turn, batch))
        batch.publish()
        return batch.outcomes

    def _commit_locked(
        self, intents: Sequence[Intent], batch: Batch | None, sent: list[UUID]
    ) -> list[Outcome]:
        """Decide and append under the lock of the log, through reconnections for a while.

        With a `batch` whose events were `sent` already, it is looked first whether they arrived.
        """
        careful = False
        behind: Sequence[UUID] = ()
        while True:
            try:
                self._catch_up(behind)
                fresh = Batch(self.log, self.states, intents, careful=careful)
                end = None
                with self.log.transaction(fresh.sought()) as turn:
                    if not self._trust.found(turn.known.end):
                        self.states.doubt()
                    if batch is None or not sent or len(turn.recorded(sent)) < len(sent):
                        batch, sent = fresh, []
                        batch.decide(turn)
                        sent = batch.append(turn)
                        self._sweep_replies(turn)
                        end = _end(turn, batch)
            except FarBehind as far:
                behind = far.streams
            except NamesFarBehind as far:
                self.log.names.look(far.ids)
            except IntegrityError:
                # Another stream holds a reservation: this time, look before each leap.
                if careful:
                    raise
                careful, sent = True, []
            except LOST as error:
                self._wait_or_give_up(error, sent)
            else:
                self._away_since = None
                self._trust.end = end
                batch.publish()
                return batch.outcomes

    def _catch_up(self, streams: Sequence[UUID]) -> None:
        """Fold long tails while others may write: under the lock it would keep them waiting."""
        for stream_id in streams:
            held = self.states.get(stream_id)
            tail = self.log.read_stream(stream_id, held.version if held else 0)
            state = held.state if held else self.log.state_of(tail[0].event)()
            state = fold(state, (recorded.event for recorded in tail))
            self.states.put(stream_id, Held(tail[-1].version, state))

    def _wait_or_give_up(self, error: Unavailable, sent: Sequence[UUID]) -> None:
        """Wait a moment for the database to come back, or raise what is known of the outcome."""
        self.states.clear()  # it may come back as a copy that lacks the newest events
        if is_full(error):  # said by the database, which has undone it all
            raise StorageFull(said(StorageFull, error)) from error
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since > RECONNECT_SECONDS:
            kind = OutcomeUnknown if sent else Unavailable
            raise kind(said(kind, error)) from error
        time.sleep(0.1)

    def _replies_are_due(self) -> bool:
        return time.monotonic() - self._replies_swept > SWEEP_SECONDS or not self._replies_swept

    def _sweep_replies(self, turn: Transaction) -> None:
        if self._replies_are_due():
            turn.forget_replies(REPLIES_KEPT_DAYS)
            self._replies_swept = time.monotonic()


def _end(turn: Transaction, batch: Batch) -> End | None:
    """The newest event after a batch; None if it has to be looked who was forgotten."""
    if turn.forgets:
        return None
    return End(turn.last_position, batch.events[-1].event_id) if batch.events else turn.known.end


def said(kind: type[EventStoreError], error: Exception) -> str:
    """What to do about an error, and what the database says of it."""
    return f"{kind.__doc__} It said: {error}"


def is_full(error: BaseException | None) -> bool:
    """Whether an error comes from a full disk."""
    return error is not None and (
        isinstance(error, psycopg.errors.DiskFull) or is_full(error.__cause__)
    )
