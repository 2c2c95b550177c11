"""What the learner of customer health knows of one customer: a small fold of its own."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.activity import ActivityKind, Direction, Outcome
    from learning.model import Feature

WINDOW = timedelta(days=60)
"""How far ahead is looked: active means active within this time."""

MOMENTS_MAX = 400
RATINGS_KEPT = 5
REVENUE_DAYS = 180

DealStatus = Literal["open", "won", "lost"]


@dataclass(slots=True)
class Waiting:
    """A prediction whose window has not passed yet."""

    asked_on: datetime
    asked_at: int
    active: bool = False


@dataclass(slots=True)
class Revenue:
    """What a deal brought in."""

    moment: datetime
    currency: str
    amount: float


@dataclass(slots=True)
class CustomerSeen:
    """What is known of a customer at the latest of its events, or of the clock."""

    since: datetime
    now: datetime
    heard_on: datetime
    traits: dict[str, Feature] = field(
        default_factory=lambda: dict.fromkeys(("tier", "industry", "country"))
    )
    closed: bool = False
    active_on: list[datetime] = field(default_factory=list)
    tickets_on: list[datetime] = field(default_factory=list)
    open_tickets: set[UUID] = field(default_factory=set)
    ratings: list[int] = field(default_factory=list)
    deals: dict[UUID, DealStatus] = field(default_factory=dict)
    won: dict[UUID, Revenue] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    remembered_on: datetime | None = None
    ask_next: datetime | None = None

    def was_active(self, moment: datetime) -> None:
        """The customer took part in something: predictions whose window it fell in come true."""
        insort(self.active_on, moment)
        del self.active_on[:-MOMENTS_MAX]
        for waiting in self.waiting:
            if waiting.asked_on < moment <= waiting.asked_on + WINDOW:
                waiting.active = True

    def asked_for_help(self, ticket_id: UUID, moment: datetime) -> None:
        """A ticket was opened."""
        self.open_tickets.add(ticket_id)
        insort(self.tickets_on, moment)
        del self.tickets_on[:-MOMENTS_MAX]

    def rated(self, rating: int) -> None:
        """The customer said how good the help was."""
        self.ratings = [*self.ratings, rating][-RATINGS_KEPT:]

    def features(self) -> dict[str, Feature]:
        """What a model may know of the customer."""
        deals = Counter(self.deals.values())
        return {
            **self.traits,
            **_rhythm(self.active_on, self.now),
            **_revenue(self.won.values(), self.now),
            "active_30_days": _within(self.active_on, self.now, 30),
            "active_90_days": _within(self.active_on, self.now, 90),
            "active_365_days": _within(self.active_on, self.now, 365),
            "days_known": (self.now - self.since).days,
            "deals_lost": deals["lost"],
            "deals_open": deals["open"],
            "deals_won": deals["won"],
            "open_tickets": len(self.open_tickets),
            "rating_last": self.ratings[-1] if self.ratings else None,
            "rating_mean": sum(self.ratings) / len(self.ratings) if self.ratings else None,
            "tickets_90_days": _within(self.tickets_on, self.now, 90),
        }


def took_part(kind: ActivityKind, direction: Direction | None, outcome: Outcome) -> bool:
    """Whether the customer had a part in an activity: a mail we sent, or our own task, is none."""
    if kind == "task":
        return False
    met = outcome in {"held", "reached", "replied"}
    return direction == "inbound" or met or (outcome == "done" and kind in {"call", "meeting"})


def _within(moments: Sequence[datetime], now: datetime, days: int) -> int:
    return bisect_right(moments, now) - bisect_right(moments, now - timedelta(days=days))


def _rhythm(moments: Sequence[datetime], now: datetime) -> dict[str, Feature]:
    """How long ago the customer was last active, also in units of its own usual pause."""
    if not moments:
        return {"days_since_active": None, "pauses_since_active": None}
    since = (now - moments[-1]) / timedelta(days=1)
    pause = (moments[-1] - moments[0]) / timedelta(days=1) / max(1, len(moments) - 1)
    return {
        "days_since_active": int(since),
        "pauses_since_active": round(since / pause, 2) if pause else None,
    }


def _revenue(won: Iterable[Revenue], now: datetime) -> dict[str, Feature]:
    """Revenue of late, and whether it grows (to 1) or shrinks (to -1) against the time before."""
    latest = max(won, key=lambda each: each.moment, default=None)
    if latest is None:
        return {"revenue_180_days": None, "revenue_trend": None}
    recent = before = 0.0
    for each in won:
        age = (now - each.moment).days
        if each.currency == latest.currency and age < 2 * REVENUE_DAYS:
            recent += each.amount if age < REVENUE_DAYS else 0.0
            before += each.amount if age >= REVENUE_DAYS else 0.0
    total = recent + before
    return {
        "revenue_180_days": recent,
        "revenue_trend": round((recent - before) / total, 4) if total else None,
    }
