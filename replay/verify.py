"""Verify: everything that follows from the log, made anew from the log and compared."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from projections.log import event, poison_event, poison_value
from replay.compare import first_difference
from replay.reservations import recompute
from replay.scratch import scratch
from replay.tables import DECLARED, MAIN, Here, catch_up, open_tables, tables_in, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.log import Log
    from eventstore.workspace import Workspace
    from projections.tables import Tables
    from replay.tables import Kept, Progress, Standing

LOOKS, PAUSE_SECONDS = 10, 0.1

Kind = Literal["table", "bookmark", "poison", "reservation", "key", "model"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not follow from the log, by its name."""

    kind: Kind
    what: str


@dataclass(slots=True)
class Verdict:
    """What was compared, and what was found."""

    position: int = 0
    log_position: int = 0
    tables: dict[str, bool] = field(default_factory=dict)
    """Whether each table is what the log says."""
    digests: dict[str, str] = field(default_factory=dict)
    """Digests of the rebuilt tables."""
    reservations: int = 0
    streams_sealed: int = 0
    models: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    poisoned: set[int] = field(default_factory=set)
    """Positions of events that cannot be read."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note how long a step takes."""
        began = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - began, 3)

    def told(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {"good": self.good, **asdict(self)}

    def find(self, kind: Kind, what: object) -> None:
        """Add a finding, once."""
        finding = Finding(kind, str(what))
        if finding not in self.findings:
            self.findings.append(finding)


def verify(
    workspace: Workspace, kept: Kept, *, models: bool = False, progress: Progress = unseen
) -> Verdict:
    """Rebuild the tables in an empty directory and compare; recompute reservations, and models."""
    verdict, log = Verdict(), workspace.log
    with (
        verdict.timed("tables"),
        scratch(workspace.directory, "verify") as empty,
        closing(open_tables(workspace, empty)) as rebuilt,
    ):
        Comparison(log, kept, rebuilt, verdict, progress).run()
    with verdict.timed("reservations"):
        _keys(log, verdict)
        _reservations(log, verdict)
    if models:
        from learning.verification import verify_models  # noqa: PLC0415 - a second of loading

        verdict.models = True
        with verdict.timed("models"):
            if difference := verify_models(workspace):
                verdict.find("model", difference)
    return verdict


def misplaced(log: Log, standing: Standing) -> Iterator[str]:
    """Bookmarks that do not stand where the rows end."""
    last = log.last_position()
    for file, bookmark in standing.bookmarks.items():
        end = standing.ends[file]
        if bookmark < end:
            yield f"the bookmark of {file} was moved back: it says {bookmark}, rows go on to {end}"
        elif bookmark > last:
            yield f"the bookmark of {file} says {bookmark}, the log ends at {last}"
        elif file == MAIN and bookmark > end:
            yield f"the bookmark of {file} was moved on: it says {bookmark}, the rows end at {end}"
    with log.cursor() as cursor:
        cursor.execute(
            "SELECT application_name AS name, notification_id AS position FROM log_tracking "
            "WHERE notification_id > %s ORDER BY 1",
            (last,),
        )
        for row in cursor.fetchall():
            yield f"the bookmark {row['name']} says {row['position']}, the log ends at {last}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Kept tables and rebuilt ones, and what becomes known about them."""

    log: Log
    kept: Kept
    rebuilt: Tables
    verdict: Verdict
    progress: Progress

    def run(self) -> None:
        """Rebuild up to where the kept tables stand, and compare."""
        standing, verdict = self.kept.standing(), self.verdict
        for said in misplaced(self.log, standing):
            verdict.find("bookmark", said)
        targets = {file: _target(standing, file) for file in standing.bookmarks}
        here = Here(self.rebuilt.database)
        for target in sorted(set(targets.values())):
            catch_up(self.rebuilt, self.log, target, self.progress)
            found = here.standing().digests
            for table in (
                t for f, until in targets.items() if until == target for t in tables_in(f)
            ):
                verdict.digests[table.name] = found[table.name]
                verdict.tables[table.name] = found[table.name] == standing.digests[table.name]
        verdict.position = self.rebuilt.position
        verdict.log_position = self.log.last_position()
        if not verdict.tables[event.name]:
            self._taken_twice()
        for name, same in verdict.tables.items():
            if not same:
                verdict.find("table", self._first(here, name))
        for table in (poison_event, poison_value):
            for row in here.rows(table.name)[1].sort("position").iter_rows(named=True):
                verdict.poisoned.add(row["position"])
                poisoned = f"event at position {row['position']} ({row['type']})"
                verdict.find("poison", f"{poisoned}: {row['error']}")

    def _taken_twice(self) -> None:
        """Name the events that a bookmark moved back made the tables take again."""
        positions = self.kept.rows(event.name)[1]["position"]
        twice = sorted(set(positions.filter(positions.is_duplicated())))
        if twice:
            self.verdict.find(
                "bookmark",
                f"the events from position {twice[0]} to {twice[-1]} were taken twice, "
                "as after a bookmark was moved back",
            )

    def _first(self, here: Here, name: str) -> object:
        """The first difference of a table; what is kept may have moved on meanwhile."""
        position, rows = self.kept.rows(name)
        for _ in range(LOOKS):
            if position >= self.rebuilt.position:
                break
            time.sleep(PAUSE_SECONDS)
            position, rows = self.kept.rows(name)
        catch_up(self.rebuilt, self.log, position)
        difference = first_difference(DECLARED[name], rows, here.rows(name)[1])
        return difference or f"table {name} differed a moment ago and no longer does: verify again"


def _target(standing: Standing, file: str) -> int:
    """How far to rebuild for one file: to where its rows end, if its bookmark is misplaced."""
    bookmark, end = standing.bookmarks[file], standing.ends[file]
    return end if file == MAIN or end > bookmark else bookmark


def _keys(log: Log, verdict: Verdict) -> None:
    """Keys that the log says were destroyed, and that are there."""
    with log.cursor() as cursor:
        log.forgotten.heed(cursor)
        cursor.execute(
            "SELECT subject FROM subject_key WHERE subject = ANY(%b::uuid[]) ORDER BY 1",
            (list(log.forgotten.key_ids),),
        )
        for row in cursor.fetchall():
            verdict.find("key", f"the key of {row['subject']} is there, but it was forgotten")


def _reservations(log: Log, verdict: Verdict) -> None:
    found = recompute(log, log.last_position())
    verdict.reservations, verdict.streams_sealed = found.reservations, found.sealed
    if found.sealed:
        verdict.find("key", f"the keys of {found.sealed} streams are gone, but nobody forgot them")
    for wrong in found.wrong:
        verdict.find("reservation", wrong)
    for unreadable in found.unreadable:
        if unreadable.position not in verdict.poisoned:
            verdict.find("poison", unreadable)
