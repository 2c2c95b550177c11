"""The follower: one thread that keeps the tables behind the log by as little as can be."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import structlog

from eventstore.errors import Unavailable
from projections.catch_up import ReadArrow, catch_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.tables import Tables

IDLE_SECONDS = 5.0
"""After so long without events the files are brought up to date with their write-ahead logs."""

REST_SECONDS_MAX, REST_EVENTS = 1.6, 2000
"""A batch costs much the same however few events are in it. After one the follower rests: a second
after so many events, a quarter of one after half as many. So at 500 commands a second all is seen
at once, and where writers want all of the machine, more is taken together and they get a third
more of it (a tenth of it between 0.8 and 1.6 seconds). When somebody waits for it, it goes on at
once."""

WAIT_SECONDS = 0.5
RETRY_SECONDS = 2.0

NOTHING = pa.table({"position": pa.array([], pa.int64())})

log = structlog.get_logger()


class FollowerStopped(Exception):
    """The tables follow the log no longer."""


class Follower:
    """Reads the log in batches, applies them to the tables, tells those who wait.

    A log that cannot be read, or the keys beside it, is tried again, with the reason in `error`
    meanwhile, and the tables as they were at the last commit. Tables that
    cannot be written are a bug: the thread ends, `error` keeps the reason, those who wait get it.
    """

    def __init__(
        self,
        tables: Tables,
        read_arrow: ReadArrow,
        wait: Callable[[int, float], int],
        *,
        rest_seconds: float | None = None,
    ) -> None:
        self.tables, self._database = tables, tables.database
        self.error: Exception | None = None
        self.ended = threading.Event()
        self._read, self._wait = read_arrow, wait
        self._rest_seconds = rest_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._guard = threading.Lock()
        self._waiting: list[tuple[int, int, Future[int]]] = []
        self._numbers = itertools.count()
        self._ended = False
        self._heir: Follower | None = None
        self._wanted, self._rested_at = threading.Event(), 0.0
        self._checkpointed, self._quiet_since = False, time.monotonic()

    @property
    def position(self) -> int:
        """The position the tables have reached."""
        return self.tables.position

    @property
    def poisoned(self) -> int:
        """How many events or values could not be read."""
        return self.tables.poisoned

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def hand_over(self, heir: Follower) -> None:
        """End after the batch under way; who waits here is told by the one that goes on."""
        self._heir = heir
        self.stop()

    def reached(self, position: int) -> Future[int]:
        """A future that is done when the tables have reached a position."""
        future: Future[int] = Future()
        with self._guard:
            if self.tables.position >= position:
                future.set_result(self.tables.position)
            elif self._ended and self._heir is not None:
                return self._heir.reached(position)
            elif self._ended:
                future.set_exception(FollowerStopped(str(self.error or "stopped")))
            else:
                heapq.heappush(self._waiting, (position, next(self._numbers), future))
                self._wanted.set()
        return future

    def wait_for(self, position: int, timeout: float) -> bool:
        """Whether the tables reach a position within `timeout` seconds."""
        future = self.reached(position)
        try:
            future.result(timeout)
        except (TimeoutError, FollowerStopped):
            future.cancel()
            return False
        return True

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._awaited():
                    self._wanted.wait(self._rested_at - time.monotonic())
                    try:
                        self._catch_up()
                    except Unavailable as error:  # the keys of persons are kept beside the log
                        self._unreadable(error)
                else:
                    self._idle()
            self.tables.settle(fully=True)
        except Exception as error:
            self.error = error
            log.exception("follower.crashed", position=self.position)
        finally:
            self._tell(ended=True)
            self.ended.set()

    def _awaited(self) -> bool:
        """Whether there is something new; the log is asked again later if it does not answer."""
        try:
            something = self._wait(self.tables.taken, WAIT_SECONDS)
        except Exception as error:  # noqa: BLE001 - the log may be away for a while
            self._unreadable(error)
            return False
        if not something:
            self.error = None
        return bool(something)

    def _catch_up(self) -> None:
        events = 0
        for taken in catch_up(self.tables, self._next):
            log.info("follower.batch", **asdict(taken), poisoned=self.poisoned)
            events += taken.events
            self.error = None
            if taken.settled:
                self._checkpointed, self._quiet_since = False, time.monotonic()
                self._tell()
        rest = min(REST_SECONDS_MAX, (events / REST_EVENTS) ** 2)
        if self._rest_seconds is not None:
            rest = self._rest_seconds
        self._rested_at = time.monotonic() + rest

    def _next(self, after: int, limit: int) -> pa.Table:
        """What is new in the log; nothing if it cannot be read, or is to be left."""
        if self._stopping.is_set():
            return NOTHING
        try:
            return self._read(after, limit)
        except Exception as error:  # noqa: BLE001 - the log may be away for a while
            self._unreadable(error)
            return NOTHING

    def _unreadable(self, error: Exception) -> None:
        if self.error is None:
            log.warning("follower.log_unreadable", position=self.position, error=str(error))
        self.error = error
        self._stopping.wait(RETRY_SECONDS)

    def _idle(self) -> None:
        """Nothing to do: a good time to tidy up the files, once."""
        if not self._checkpointed and time.monotonic() - self._quiet_since > IDLE_SECONDS:
            self._database.checkpoint()
            self._checkpointed = True

    def _tell(self, *, ended: bool = False) -> None:
        """Wake those whose position was reached; at the end, all."""
        due: list[tuple[int, Future[int]]] = []
        with self._guard:
            self._ended = self._ended or ended
            while self._waiting and (ended or self._waiting[0][0] <= self.position):
                position, _, future = heapq.heappop(self._waiting)
                due.append((position, future))
            if not self._stopping.is_set() and all(one.done() for *_, one in self._waiting):
                self._wanted.clear()
        for position, future in due:
            if position > self.position and self._heir is not None:
                self._heir.reached(position).add_done_callback(partial(_pass_on, future))
            elif future.set_running_or_notify_cancel():
                if position <= self.position:
                    future.set_result(self.position)
                else:
                    future.set_exception(FollowerStopped(str(self.error or "stopped")))


def _pass_on(waiting: Future[int], told: Future[int]) -> None:
    """Tell who waits what was told to somebody else."""
    if not waiting.set_running_or_notify_cancel():
        return
    if error := told.exception():
        waiting.set_exception(error)
    else:
        waiting.set_result(told.result())
