"""Runs: which files were imported, when and by whom, as events of their own streams.

A run is known by what it imports, so one that was killed is the same run when it is started again;
once it has ended, the same files are another run. All that a run did carries its id as correlation.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.sql import SQL

from domain import AGGREGATES, events_of
from domain.activity import ActivityLogged
from domain.base import Event
from domain.import_run import (
    ImportedFile,
    ImportRun,
    ImportRunEnded,
    ImportRunReverted,
    ImportRunStarted,
)
from eventstore.envelope import derived
from eventstore.intent import Context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eventstore.envelope import RecordedEvent
    from eventstore.intent import Writes
    from eventstore.log import Log
    from imports.recipe import Recipe
    from imports.report import Tally

RUNS = UUID("4e1f5f0c-6a0e-5d43-8a57-0d9d3b7c2f19")
"""Namespace of the ids of runs."""

# The condition of the index, word by word.
OF_RUNS = SQL("topic LIKE 'import_run.%%' ORDER BY notification_id")

MAKING = [*(events_of(of)[0].type for of in AGGREGATES), ActivityLogged.type]
"""The events by which records begin."""

APART = ["import_run", "custom_fields"]
"""What is no record of the business."""

DONE = """
SELECT count(*) AS events, count(DISTINCT originator_id) AS records,
    count(DISTINCT originator_id) FILTER (WHERE topic = ANY(%s)) AS created
FROM log_events WHERE notification_id > %s AND correlation_id = %s
    AND split_part(topic, '.', 1) <> ALL(%s)
"""


class RunUnknown(Exception):
    """There is no such run, or several whose ids begin so; the message says which."""


@dataclass(slots=True)
class Run:
    """A run as the log tells it."""

    id: UUID
    state: ImportRun = field(default_factory=ImportRun)
    events: dict[type[Event], RecordedEvent] = field(default_factory=dict)

    @property
    def started(self) -> RecordedEvent:
        """When it began: nothing that it did stands before this in the log."""
        return self.events[ImportRunStarted]

    @property
    def revert_id(self) -> UUID:
        """The correlation of all that takes it back."""
        return revert_id(self.id)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs; what has not happened yet is null."""
        told: dict[str, Any] = {"run": self.id, "status": self.state.status}
        for of, verb in VERBS.items():
            recorded = self.events.get(of)
            told |= dict(recorded.event) if recorded else dict.fromkeys(of.model_fields)
            told[f"{verb}_at"] = recorded and recorded.recorded_at
            told[f"{verb}_by"] = recorded and recorded.actor
        return told


VERBS: Mapping[type[Event], str] = {
    ImportRunStarted: "started",
    ImportRunEnded: "ended",
    ImportRunReverted: "reverted",
}


def revert_id(run_id: UUID) -> UUID:
    """The correlation of all that takes a run back."""
    return derived(run_id, "revert")


def runs(log: Log) -> list[Run]:
    """Every run, the oldest first."""
    with log.cursor() as cursor:
        told = log.open_rows(cursor, log.envelopes.select_envelopes(cursor, OF_RUNS, ()))
    found: dict[UUID, Run] = {}
    for recorded in told:
        run = found.setdefault(recorded.stream_id, Run(recorded.stream_id))
        run.state = run.state.evolve(recorded.event)  # type: ignore[arg-type]
        run.events[type(recorded.event)] = recorded
    return list(found.values())


class Entry:
    """The entry of an import in the book of runs: made when it begins, and when it has ended."""

    def __init__(
        self, recipe: Recipe, files: Mapping[str, Path], log: Log, writer: Writes, actor: UUID
    ) -> None:
        self.log, self.writer, self.actor = log, writer, actor
        self._started = ImportRunStarted(
            recipe=recipe.name,
            title=recipe.title,
            recipe_sha256=hashlib.sha256(recipe.model_dump_json().encode()).hexdigest(),
            files=tuple(map(_seen, files.values())),
        )
        known = runs(log)
        self.reverts = [run.revert_id for run in known]
        """Correlations by which what a run did may have been taken back."""
        self.id = self._number({run.id: run for run in known})

    def _number(self, known: Mapping[UUID, Run]) -> UUID:
        """The first run over just these files that has not ended."""
        told = self._started.model_dump_json()
        number = 0
        while True:
            id_ = derived(RUNS, f"{told}\x1f{number}")
            if id_ not in known or known[id_].state.status == "started":
                return id_
            number += 1

    def start(self) -> None:
        """Tell the log that the run begins; it may have begun before."""
        self._submit("started", lambda run: [] if run.started else [self._started])

    def end(self, tally: Tally) -> None:
        """Tell the log what came of it."""
        rows, refused = tally.rows, tally.failed
        begun = self.log.read_stream(self.id)
        if not begun:  # a rehearsal: nothing is in the log
            return
        with self.log.cursor() as cursor:
            cursor.execute(DONE, (MAKING, begun[0].position, self.id, APART))
            [done] = cursor.fetchall()
        updated = done["records"] - done["created"]
        ended = ImportRunEnded(
            rows=rows,
            refused=refused,
            created=done["created"],
            updated=updated,
            events=done["events"],
        )
        self._submit("ended", lambda run: [] if run.ended else [ended])

    def _submit(self, what: str, decide: Any) -> None:
        context = Context(self.actor, self.id, command_id=derived(self.id, what), once=True)
        self.writer.submit(self.id, ImportRun, lambda _, run: iter(decide(run)), context).result()


def _seen(path: Path) -> ImportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ImportedFile(file=path.name, sha256=digest, bytes=path.stat().st_size)


def find_run(log: Log, text: str) -> Run:
    """The run with this id, or the only one whose id begins so."""
    digits = text.strip().lower().replace("-", "")
    found = [run for run in runs(log) if digits and run.id.hex.startswith(digits)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(str(run.id) for run in found[:3])
        raise RunUnknown(f"several ids of runs begin with {text}: {several} …")
    raise RunUnknown(f"there is no run {text}; `backstory imports` lists all")
