"""Reads of personal data: who saw which fields of whom, when, in which request; never a value.

They are no events: nothing follows from them, and there may be more of them than of all else.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import orjson
from psycopg.sql import SQL

from eventstore.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from eventstore.log import Log

BATCH_READS = 500
INSERT = """
    INSERT INTO personal_read (actor, request_id, door, subjects, fields)
    SELECT actor, request_id, door, subjects, fields FROM jsonb_to_recordset(%s::jsonb)
        AS told(actor uuid, request_id uuid, door text, subjects uuid[], fields text[])
"""


@dataclass(frozen=True, slots=True)
class Read:
    """Personal values that were asked for; without `subjects` they may have been anybody's."""

    actor: UUID
    request_id: UUID
    door: str
    subjects: tuple[UUID, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedRead(Read):
    """A read as it was recorded."""

    position: int
    read_at: datetime


class ReadLog:
    """The reads of personal data of a workspace; it only grows. Safe to use from several threads.

    Reads that come while others are being written go into the next batch together.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: SimpleQueue[tuple[Read, Future[None]] | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, read: Read) -> Future[None]:
        """Record a read; the future is done after the commit, and so the values may be shown."""
        done: Future[None] = Future()
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="read log", daemon=True)
                self._thread.start()
            self._waiting.put((read, done))
        return done

    def close(self) -> None:
        """Write what waits, and end."""
        with self._guard:
            if self._thread is not None:
                self._waiting.put(None)
                self._thread.join()
                self._thread = None

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._waiting.get()]
            while not self._waiting.empty() and len(batch) < BATCH_READS:
                batch.append(self._waiting.get())
            going = None not in batch
            # Who left meanwhile is shown nothing; the others can no longer take back their read.
            told = [one for one in batch if one and one[1].set_running_or_notify_cancel()]
            self._write(told)

    def _write(self, batch: Sequence[tuple[Read, Future[None]]]) -> None:
        if not batch:
            return
        try:
            with self._log.cursor() as cursor:
                cursor.execute(
                    INSERT, (orjson.dumps([asdict(read) for read, _ in batch]).decode(),)
                )
        except Exception as error:  # noqa: BLE001 - each who waits is told
            for _, done in batch:
                done.set_exception(error if isinstance(error, Unavailable) else _away(error))
        else:
            for _, done in batch:
                done.set_result(None)


def _away(error: Exception) -> Unavailable:
    return Unavailable(f"the read could not be recorded: {error}")


def reads(
    log: Log,
    *,
    subjects: Sequence[UUID] | None = None,
    actor: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int,
) -> list[RecordedRead]:
    """The last reads there were, the newest first, of any of these subjects.

    Those that may have been of anybody are among them.
    """
    conditions, values = [SQL("true")], list[Any]()
    for condition, value in (
        ("(subjects && %s OR subjects = '{}')", None if subjects is None else list(subjects)),
        ("actor = %s", actor),
        ("read_at > %s", since),
        ("read_at <= %s", until),
    ):
        if value is not None:
            conditions.append(SQL(condition))
            values.append(value)
    found = SQL("SELECT * FROM personal_read WHERE {} ORDER BY position DESC LIMIT %s").format(
        SQL(" AND ").join(conditions)
    )
    with log.cursor() as cursor:
        cursor.execute(found, [*values, limit])
        return [
            RecordedRead(**row | {name: tuple(row[name]) for name in ("subjects", "fields")})
            for row in cursor.fetchall()
        ]
