"""The library's ProjectionRunner with a view in DuckDB: each event and its position at once.

python -m benchmarks.peers.library_projection URL FILE EVENTS        prints events per second
"""

from __future__ import annotations

import sys
import threading
import time
from functools import singledispatchmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
from eventsourcing.persistence import Tracking, TrackingRecorder
from eventsourcing.popo import POPOFactory
from eventsourcing.projection import Projection, ProjectionRunner

from benchmarks.leads import QUALIFY, capture
from benchmarks.peers.library import Lead, Leads, environment
from readmodels.bookmark import Bookmark

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS_MAX = 600
FILE = "DUCKDB_FILE"


class LeadView(Bookmark):
    """Leads as a table; what is written moves the bookmark in the same transaction."""

    def __init__(self, file: Path) -> None:
        self._connection = duckdb.connect(str(file))
        super().__init__(self._connection)
        self._connection.execute(
            "CREATE TABLE lead (id UUID PRIMARY KEY, company VARCHAR, source VARCHAR, "
            "status VARCHAR, budget INTEGER, authority INTEGER, need INTEGER, timeline INTEGER)"
        )

    def write(self, sql: str, values: Sequence[Any], tracking: Tracking) -> None:
        """One statement and the bookmark, or neither."""
        self._connection.begin()
        self._connection.execute(sql, values)
        self.insert_tracking(tracking)
        self._connection.commit()


class Factory(POPOFactory):
    """Makes views, as the library asks for them."""

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Any:
        """The view."""
        kind: type[TrackingRecorder] = tracking_recorder_class
        assert issubclass(kind, LeadView)
        return kind(Path(self.env.get(FILE) or ""))


class LeadProjection(Projection[LeadView]):
    """How leads become rows."""

    def __init__(self, view: LeadView) -> None:
        super().__init__(view)
        self.seen = 0
        self.awaited = -1
        self.done = threading.Event()

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Write what follows from an event."""
        raise NotImplementedError(domain_event)

    @process_event.register
    def _(self, captured: Lead.Captured, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.write(
            "INSERT INTO lead (id, company, source, status) VALUES (?, ?, ?, 'open')",
            [captured.originator_id, captured.company, captured.source],
            tracking,
        )
        self._count()

    @process_event.register
    def _(self, qualified: Lead.Qualified, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self.view.write(
            "UPDATE lead SET status = 'qualified', budget = ?, authority = ?, need = ?, "
            "timeline = ? WHERE id = ?",
            [
                qualified.budget,
                qualified.authority,
                qualified.need,
                qualified.timeline,
                qualified.originator_id,
            ],
            tracking,
        )
        self._count()

    def _count(self) -> None:
        self.seen += 1
        if self.seen == self.awaited:
            self.done.set()


def fill(leads: Leads, events: int) -> None:
    """Leads that were captured and qualified."""
    saved = []
    for number in range(events // 2):
        lead = Lead(lead_id=uuid4(), **capture(f"{number:08}"))
        lead.qualify(**QUALIFY)  # type: ignore[arg-type]
        saved.append(lead)
    leads.save(*saved)


def main() -> None:
    """See above."""
    url, file, given = sys.argv[1:]
    events = int(given) // 2 * 2
    env = environment(url, pool=5) | {
        "LEADPROJECTION_PERSISTENCE_MODULE": f"{Factory.__module__}:{Factory.__qualname__}",
        FILE: file,
    }
    with Leads(env) as leads:
        fill(leads, events)
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Leads, projection_class=LeadProjection, view_class=LeadView, env=env
    ) as runner:
        projection = runner.projection
        assert isinstance(projection, LeadProjection)
        projection.awaited = events
        assert projection.done.wait(SECONDS_MAX) or projection.seen == events
        seconds = time.perf_counter() - began
    print(events / seconds)


if __name__ == "__main__":
    main()
