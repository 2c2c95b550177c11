"""FastAPI and the library `eventsourcing`, put together as its documentation shows.

python -m benchmarks.peers.library serve URL POOL                     prints its port
python -m benchmarks.peers.library save URL POOL CALLERS SECONDS WARM_UP

Aggregates with `@event`, `Application.save`, and endpoints that FastAPI runs in its thread pool.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI, HTTPException
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, EmailStr, Field

from benchmarks.leads import QUALIFY, capture
from benchmarks.peers.serving import serve
from benchmarks.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

BANT_FLOOR = 8


class LeadNotOpen(Exception):
    """Only an open lead can be qualified."""


class BantTooLow(Exception):
    """A lead qualifies with eight points or more."""


class Lead(Aggregate):
    """A lead, as the library has aggregates."""

    @staticmethod
    def create_id(lead_id: UUID) -> UUID:
        """The client's id."""
        return lead_id

    @event("Captured")
    def __init__(
        self,
        *,
        lead_id: UUID,
        name: str,
        email: str,
        phone: str,
        company: str,
        title: str,
        country: str,
        source: str,
    ) -> None:
        self.lead_id = lead_id
        self.name = name
        self.email = email
        self.phone = phone
        self.company = company
        self.title = title
        self.country = country
        self.source = source
        self.status: Literal["open", "qualified"] = "open"

    def qualify(
        self, *, budget: int, authority: int, need: int, timeline: int, evidence: str
    ) -> None:
        """Declare the lead worth a salesperson's time."""
        if self.status != "open":
            raise LeadNotOpen
        if budget + authority + need + timeline < BANT_FLOOR:
            raise BantTooLow
        self._qualify(
            budget=budget, authority=authority, need=need, timeline=timeline, evidence=evidence
        )

    @event("Qualified")
    def _qualify(
        self, *, budget: int, authority: int, need: int, timeline: int, evidence: str
    ) -> None:
        self.status = "qualified"
        self.bant = (budget, authority, need, timeline)
        self.evidence = evidence


class Leads(Application[UUID]):
    """The application."""

    def capture_lead(self, lead_id: UUID, fields: Mapping[str, str]) -> int:
        """Save a new lead."""
        lead = Lead(lead_id=lead_id, **fields)
        self.save(lead)
        return lead.version

    def qualify_lead(self, lead_id: UUID, fields: Mapping[str, Any]) -> int:
        """Get a lead, change it, save it."""
        lead: Lead = self.repository.get(lead_id)
        lead.qualify(**fields)
        self.save(lead)
        return lead.version


class CaptureLead(BaseModel):
    """The body of a capture."""

    name: str = Field(max_length=200)
    email: EmailStr
    phone: str
    company: str
    title: str
    country: str
    source: str


class QualifyLead(BaseModel):
    """The body of a qualification."""

    budget: int = Field(ge=0, le=5)
    authority: int = Field(ge=0, le=5)
    need: int = Field(ge=0, le=5)
    timeline: int = Field(ge=0, le=5)
    evidence: str


def environment(url: str, pool: int) -> dict[str, str]:
    """The library's settings for PostgreSQL, with so many connections in its pool."""
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_POOL_SIZE": str(pool),
    }


def doors(leads: Leads) -> FastAPI:
    """The same two routes that Backstory has."""
    app = FastAPI()

    @app.post("/leads/{id}/capture")
    def capture_lead(id: UUID, body: CaptureLead) -> dict[str, int]:
        return {"version": leads.capture_lead(id, body.model_dump())}

    @app.post("/leads/{id}/qualify")
    def qualify_lead(id: UUID, body: QualifyLead) -> dict[str, int]:
        try:
            return {"version": leads.qualify_lead(id, body.model_dump())}
        except (LeadNotOpen, BantTooLow) as error:
            raise HTTPException(409, str(error)) from None

    return app


def save(leads: Leads, callers: int, seconds: float, warm_up: float) -> None:
    """Save from so many threads at once."""
    numbers = itertools.count()

    def call() -> None:
        going = True
        while going:
            lead = uuid4()
            began = time.perf_counter()
            leads.capture_lead(lead, capture(f"{next(numbers):08}"))
            window.note(began)
            began = time.perf_counter()
            leads.qualify_lead(lead, QUALIFY)
            going = window.note(began)

    with Window(seconds, warm_up) as window:
        threads = [threading.Thread(target=call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main() -> None:
    """See above."""
    what, url, pool, *rest = sys.argv[1:]
    leads = Leads(environment(url, int(pool)))
    if what == "serve":
        serve(doors(leads))
    else:
        callers, seconds, warm_up = rest
        save(leads, int(callers), float(seconds), float(warm_up))
    leads.close()


if __name__ == "__main__":
    main()
