"""Taking a run back, as events: what it made is retracted, what it changed is as it was before.

First the whole run is looked at: a record that somebody changed since is kept as it is, and so is
one that what happened since, or what is kept, refers to. Then each record gets its events, the
newest first, dated like the last of what they undo: a report of last month that is asked for now
does not have them any more, and as it was known then it still does. Ids of commands follow from the
run and the record, so a revert that was killed goes on where it stood.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domain.base import Event, Refusal, State, fold
from domain.import_run import ImportRun, ImportRunReverted, ImportRunRevertStarted
from eventstore.envelope import derived
from eventstore.errors import Overloaded, StaleVersion
from eventstore.intent import Context
from imports.report import Kept, Progress
from imports.restore import aim, left, restoring, retracting
from imports.runs import APART
from imports.spill import Spill
from imports.touched import Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psycopg.rows import DictRow

    from eventstore.intent import Writes
    from eventstore.log import Log
    from eventstore.promise import Promise
    from imports.runs import Run
    from imports.touched import Touched

SINCE_ROWS = 2_000
IN_FLIGHT_MAX = 1_000
FULL_SECONDS = 0.01
UUIDS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SPEAKS_OF_ALL = [*APART, "score", "clock"]
"""What names records without being about the business."""

SINCE = """
SELECT originator_id AS id, topic, actor, recorded_at, notification_id AS position, state
FROM log_events WHERE notification_id > %s AND correlation_id <> ALL(%s)
    AND split_part(topic, '.', 1) <> ALL(%s)
ORDER BY notification_id LIMIT %s
"""
NEWEST = """
SELECT topic FROM log_events WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1
"""
SAID = "SELECT state FROM log_events WHERE originator_id = %s"
UNDONE = """
SELECT count(DISTINCT originator_id) AS records,
    count(DISTINCT originator_id) FILTER (WHERE topic LIKE '%%.retracted.%%') AS retracted
FROM log_events WHERE notification_id > %s AND correlation_id = %s
    AND split_part(topic, '.', 1) <> ALL(%s)
"""


@dataclass
class Reverted:
    """What a revert came to, by records."""

    retracted: int = 0
    restored: int = 0
    kept: int = 0
    partly: int = field(default=0)
    """Records of `restored` in which something stays."""


class Revert:
    """Taking one run back; with a `Rehearsal` as the writer, a dry run."""

    def __init__(
        self,
        log: Log,
        writer: Writes,
        run: Run,
        *,
        actor: UUID,
        kept: Kept | None = None,
        progress: Progress | None = None,
        unchanged_fields: bool = False,
    ) -> None:
        self.log, self.writer, self.run, self.actor = log, writer, run, actor
        self.kept = kept or Kept(None)
        self.progress = progress or Progress()
        self.unchanged_fields = unchanged_fields
        self.came = Reverted()
        self._spill = Spill()
        self._flights: deque[tuple[Touched, Promise, bool]] = deque()
        self._records = Records(log, run)

    def revert(self) -> Reverted:
        """Do it. What stands in the way is in `kept`; all else is as it was before the run."""
        self._note("revert started", ImportRunRevertStarted())
        self._plan()
        self._begin("take back")
        for touched in self._records:
            self._take_back(touched)
        while self._flights:
            self._land()
        self.progress.end()
        self._end()
        return self.came

    def _plan(self) -> None:
        """Find out which records have to be kept, and tell why."""
        self._begin("look")
        waiting: deque[UUID] = deque()
        for touched in self._records:
            if touched.made:
                self._spill.set_default(self._key("made", touched.id), 1)
        for touched in self._records:
            if touched.done:
                continue
            if touched.made and touched.since:
                self._keep(touched.kind, touched.id, "changed since", touched.since, waiting)
            elif not touched.made:
                self._plan_restoring(touched, waiting)
        for name, row in self._named_since():
            self._keep("", name, "referred to since", row, waiting)
        while waiting:
            self._keep_what_is_named_in(waiting.popleft(), waiting)
        self.progress.end()

    def _plan_restoring(self, touched: Touched, waiting: deque[UUID]) -> None:
        now, _, events, _ = self._restoring(touched)
        if touched.since and not self.unchanged_fields:
            self._keep(touched.kind, touched.id, "changed since", touched.since, waiting)
            return
        for name in _ids(repr(fold(now, events)).encode()):
            if self._is("made", name):  # what a record goes on to refer to has to be there
                self._keep("", name, f"{touched.kind} {touched.id} refers to it", None, waiting)

    def _keep(
        self, kind: str, id: UUID, why: str, row: DictRow | None, waiting: deque[UUID]
    ) -> None:
        if self._is("kept", id):
            return
        self._spill.set_default(self._key("kept", id), 1)
        if not kind:
            with self.log.cursor() as cursor:
                kind = str(cursor.execute(NEWEST, (id,)).fetchone()["topic"]).split(".")[0]  # type: ignore[index]
        self.kept.add(kind, id, why, row)
        self.came.kept += 1
        waiting.append(id)

    def _keep_what_is_named_in(self, id: UUID, waiting: deque[UUID]) -> None:
        with self.log.cursor() as cursor:
            rows = cursor.execute(SAID, (id,)).fetchall()
        for name in {name for row in rows for name in _ids(bytes(row["state"]))}:
            if name != id and self._is("made", name):
                self._keep("", name, f"{id} refers to it, and is kept", None, waiting)

    def _named_since(self) -> Iterator[tuple[UUID, DictRow]]:
        """Records that the run made, and events of others that name them."""
        own = [self.run.id, self.run.revert_id]
        after = self.run.started.position
        while True:
            with self.log.cursor() as cursor:
                asked = (after, own, SPEAKS_OF_ALL, SINCE_ROWS)
                rows = cursor.execute(SINCE, asked, prepare=False).fetchall()
            for row in rows:
                if self._is("made", row["id"]):
                    continue  # if it is kept, then also what it refers to
                for name in _ids(bytes(row["state"])):
                    if self._is("made", name) and self._is_there(row["id"]):
                        yield name, row
            if len(rows) < SINCE_ROWS:
                return
            after = rows[-1]["position"]

    def _is_there(self, id: UUID) -> bool:
        with self.log.cursor() as cursor:
            newest = cursor.execute(NEWEST, (id,)).fetchone()
        return newest is not None and ".retracted." not in newest["topic"]

    def _take_back(self, touched: Touched) -> None:
        """Hand the events of one record to the writer."""
        self.progress.read(1)
        self.progress.done(1)
        if touched.done or self._is("kept", touched.id):
            return
        if touched.made:
            past = [] if "member" not in touched.kind else self._events(touched.id)
            self._ask(touched, lambda _, state: retracting(state, past), retracts=True)
            return
        now, aimed, events, taken = self._restoring(touched)
        if taken:
            self.kept.add(touched.kind, touched.id, f"changed since: {_told(taken)}", touched.since)
        if stays := left(now, aimed, events):
            why = f"cannot be taken back: {_told(stays)}"
            self.kept.add(touched.kind, touched.id, why, touched.rows[touched.last])
        self.came.partly += bool(taken or stays)
        if events:
            self._ask(touched, lambda *_: iter(events), retracts=False)

    def _restoring(
        self, touched: Touched
    ) -> tuple[State[Any], State[Any], list[Event], tuple[str, ...]]:
        """A record now, as it is to be, what leads there, and the fields changed by others."""
        events = self._events(touched.id)
        before = fold(touched.of(), events[: touched.first])
        after = fold(before, events[touched.first : touched.last + 1])
        now = fold(after, events[touched.last + 1 :])
        aimed, taken = aim(before, after, now)
        if "[hidden]" in repr(now) + repr(aimed):
            return now, now, [], ()  # of somebody forgotten there is nothing to restore
        return now, aimed, restoring(now, aimed, events[: touched.first]), taken

    def _events(self, id: UUID) -> list[Event]:
        return [recorded.event for recorded in self.log.read_stream(id)]

    def _ask(self, touched: Touched, decide: Any, *, retracts: bool) -> None:
        context = Context(
            actor=self.actor,
            correlation_id=self.run.revert_id,
            causation_id=touched.rows[touched.last]["event_id"],
            occurred_at=max(row["occurred_at"] for row in touched.rows),
            command_id=derived(self.run.revert_id, str(touched.id)),
            once=True,
            expected_version=touched.rows[-1]["version"],
        )
        while True:
            promise = self.writer.submit(touched.id, touched.of, decide, context)
            if not (promise.done() and isinstance(promise.exception(), Overloaded)):
                break
            time.sleep(FULL_SECONDS)
        self._flights.append((touched, promise, retracts))
        if len(self._flights) > IN_FLIGHT_MAX:
            self._land()

    def _land(self) -> None:
        touched, promise, retracts = self._flights.popleft()
        error = promise.exception()
        if isinstance(error, Refusal | StaleVersion):
            self.kept.add(touched.kind, touched.id, str(error))
            self.came.kept += 1
            return
        promise.result()
        self.came.retracted += retracts
        self.came.restored += not retracts

    def _begin(self, what: str) -> None:
        ended = self.run.state.ended
        self.progress.begin(what, ended.created + ended.updated if ended else 0)

    def _note(self, what: str, event: Event) -> None:
        """Write into the book of runs, once."""
        id_ = derived(self.run.id, what)
        context = Context(self.actor, self.run.revert_id, command_id=id_, once=True)
        decide = lambda *_: iter([event])  # noqa: E731 - a decision is a function
        self.writer.submit(self.run.id, ImportRun, decide, context).result()

    def _end(self) -> None:
        with self.log.cursor() as cursor:
            asked = (self.run.started.position, self.run.revert_id, APART)
            [done] = cursor.execute(UNDONE, asked).fetchall()
        restored = done["records"] - done["retracted"]
        counts = {"retracted": done["retracted"], "restored": restored, "kept": self.came.kept}
        self._note("reverted", ImportRunReverted(**counts))

    def _key(self, what: str, id: UUID) -> int:
        return self._spill.hash(f"{what} {id}")

    def _is(self, what: str, id: UUID) -> bool:
        return self._spill.has(self._key(what, id))


def _ids(stored: bytes) -> Iterator[UUID]:
    for found in UUIDS.findall(stored):
        yield UUID(found.decode())


def _told(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)
