"""The follower: one thread that keeps the tables behind the log by as little as can be."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from projections.tables import Tables

BATCH_ROWS = 50_000
CARRIED_ROWS = 1_000_000
"""How many events may wait for one commit while catching up; what a crash then costs to redo."""

IDLE_SECONDS = 5.0
"""After so long without events the files are brought up to date with their write-ahead logs."""

WAIT_SECONDS = 0.5
RETRY_SECONDS = 2.0

log = structlog.get_logger()


class FollowerStopped(Exception):
    """The tables follow the log no longer."""


class Follower:
    """Reads the log in batches, applies them to the tables, tells those who wait.

    A log that cannot be read is tried again, with the reason in `error` meanwhile. Tables that
    cannot be written are a bug: the thread ends, `error` keeps the reason, those who wait get it.
    """

    def __init__(
        self,
        tables: Tables,
        read_arrow: Callable[[int, int], pa.Table],
        wait: Callable[[int, float], bool],
    ) -> None:
        self.tables = tables
        self.error: Exception | None = None
        self._read, self._wait = read_arrow, wait
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._guard = threading.Lock()
        self._waiting: list[tuple[int, int, Future[int]]] = []
        self._numbers = itertools.count()
        self._ended = False
        self._settled, self._carried = True, 0
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
        if self._thread.is_alive():
            self._thread.join()

    def reached(self, position: int) -> Future[int]:
        """A future that is done when the tables have reached a position."""
        future: Future[int] = Future()
        with self._guard:
            if self.tables.position >= position:
                future.set_result(self.tables.position)
            elif self._ended:
                future.set_exception(FollowerStopped(str(self.error or "stopped")))
            else:
                heapq.heappush(self._waiting, (position, next(self._numbers), future))
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
                batch = self._next()
                if batch is not None and len(batch):
                    self._apply(batch)
                elif self._settled:
                    self._idle()
                else:
                    self._settle()
            self._settle()
        except Exception as error:  # noqa: BLE001 - kept, logged, and told to all who wait
            self.error = error
            log.exception("follower.crashed", position=self.position)
        finally:
            self._tell(ended=True)

    def _next(self) -> pa.Table | None:
        """What is new in the log; nothing if it cannot be read just now, or stays quiet."""
        after = self.tables.taken
        try:
            if self._settled and not self._wait(after, WAIT_SECONDS):
                return None
            batch = self._read(after, BATCH_ROWS)
        except Exception as error:  # noqa: BLE001 - the log may be away; it will be asked again
            if self.error is None:
                log.warning("follower.log_unreadable", after=after, error=str(error))
            self.error = error
            self._stopping.wait(RETRY_SECONDS)
            return None
        self.error = None
        return batch

    def _apply(self, batch: pa.Table) -> None:
        began = time.monotonic()
        self._carried += len(batch)
        self._settled = len(batch) < BATCH_ROWS or self._carried >= CARRIED_ROWS
        self.tables.apply(batch, settle=self._settled)
        log.info(
            "follower.batch",
            events=len(batch),
            position=self.tables.taken,
            settled=self._settled,
            poisoned=self.poisoned,
            seconds=round(time.monotonic() - began, 4),
        )
        self._after_settling()

    def _settle(self) -> None:
        self.tables.settle()
        self._settled = True
        self._after_settling()

    def _after_settling(self) -> None:
        if self._settled:
            self._carried = 0
            self._checkpointed, self._quiet_since = False, time.monotonic()
            self._tell()

    def _idle(self) -> None:
        """Nothing to do: a good time to tidy up the files, once."""
        if not self._checkpointed and time.monotonic() - self._quiet_since > IDLE_SECONDS:
            self.tables.database.checkpoint()
            self._checkpointed = True

    def _tell(self, *, ended: bool = False) -> None:
        """Wake those whose position was reached; at the end, all."""
        due: list[Future[int]] = []
        with self._guard:
            self._ended = self._ended or ended
            while self._waiting and (ended or self._waiting[0][0] <= self.position):
                due.append(heapq.heappop(self._waiting)[2])
        for future in due:
            if not future.set_running_or_notify_cancel():
                continue
            if ended:
                future.set_exception(FollowerStopped(str(self.error or "stopped")))
            else:
                future.set_result(self.position)
