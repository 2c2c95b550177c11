"""What is said about tickets, beside what the events say."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from domain.ticket import Ticket, TicketRated, TicketReplied, TicketSolved
from tests.reports import (
    At,
    Past,
    check,
    days,
    hours,
    mean,
    moments,
    month,
    quantile,
    reports,
    share,
    story,
)

if TYPE_CHECKING:
    from datetime import date
    from uuid import UUID

AT = pytest.mark.parametrize("at", moments(), ids=str)
SOLVED = {"solved", "closed"}


@AT
def test_the_backlog_is_what_is_not_solved(at: At):
    past = Past(story(), at)
    piles: dict[Any, list[tuple[Ticket, datetime]]] = defaultdict(list)
    for id, ticket in past.of(Ticket).items():
        if ticket.status not in SOLVED:
            pile = ticket.status, ticket.priority, ticket.assignee
            piles[pile].append((ticket, past.streams[id][0].effective_at))
    expected = {
        pile: {
            "tickets": len(found),
            "unanswered": [ticket.replies for ticket, _ in found].count(0),
            "oldest_opened_at": min(opened for _, opened in found),
            "oldest_days": max(days(opened, past.moment) for _, opened in found),
            "median_days": median(days(opened, past.moment) for _, opened in found),
        }
        for pile, found in piles.items()
    }
    check(reports().ask("ticket_backlog", at=at), "status priority owner", expected)


@AT
def test_the_backlog_of_a_day_is_that_of_the_day_before_and_what_came_and_went(at: At):
    past = Past(story(), at)
    counts: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for told in past.told(Ticket).values():
        before = Ticket()
        for seen in told:
            after = before.evolve(seen.event)
            row = counts[seen.effective_at.date()]
            row["opened"] += before.status == "unknown"
            row["reopened"] += before.status in SOLVED and after.status not in SOLVED
            row["solved"] += before.status not in SOLVED and after.status in SOLVED
            before = after
    expected, backlog, day = {}, 0, min(counts)
    while day <= past.moment.date():
        row = counts[day]
        backlog += row["opened"] + row["reopened"] - row["solved"]
        names = ("opened", "reopened", "solved")
        expected[day] = {name: row[name] for name in names} | {"backlog": backlog}
        day += timedelta(days=1)
    rows = reports().ask("ticket_backlog_daily", at=at)
    check(rows, "day", expected)
    assert [row["day"] for row in rows] == sorted(expected)
    unsolved = [ticket for ticket in past.of(Ticket).values() if ticket.status not in SOLVED]
    assert rows[-1]["backlog"] == len(unsolved)


def test_the_backlog_of_a_day_is_what_it_was_at_its_end():
    rows = reports().ask("ticket_backlog_daily", at=At())
    for row in rows[:: len(rows) // 8]:
        midnight = datetime.combine(row["day"], datetime.min.time(), UTC) + timedelta(days=1)
        tickets = Past(story(), At(midnight - timedelta(microseconds=1))).of(Ticket).values()
        assert row["backlog"] == sum(ticket.status not in SOLVED for ticket in tickets)


def times(past: Past) -> dict[UUID, dict[str, Any]]:
    first: dict[UUID, datetime] = {}
    for recorded in past.happened(TicketReplied):
        before = first.get(recorded.stream_id, recorded.occurred_at)
        first[recorded.stream_id] = min(before, recorded.occurred_at)
    found = {}
    for id, ticket in past.of(Ticket).items():
        opened_at = past.streams[id][0].effective_at
        rated = past.last(id, TicketRated)
        solution = past.last(id, TicketSolved) if ticket.status in SOLVED else None
        answered_at = first.get(id)
        found[id] = {
            "status": ticket.status,
            "priority": ticket.priority,
            "owner": ticket.assignee,
            "opened_at": opened_at,
            "first_response_at": answered_at,
            "first_response_hours": answered_at and max(hours(opened_at, answered_at), 0.0),
            "solved_at": solution and solution.effective_at,
            "resolution_hours": solution and hours(opened_at, solution.effective_at),
            "waiting_hours": None if solution else hours(opened_at, past.moment),
            "replies": ticket.replies,
            "reopenings": ticket.reopenings,
            "rating": rated and rated.event.rating,
        }
    return found


@AT
def test_requesters_wait_from_opening_to_the_first_reply_and_to_the_last_solution(at: At):
    rows = reports().ask("ticket_times", at=at)
    check(rows, "ticket_id", times(Past(story(), at)))
    if at == At():
        assert any(row["reopenings"] and row["solved_at"] for row in rows)
        assert any(row["first_response_at"] is None for row in rows)


@AT
def test_the_summary_says_how_long_most_had_to_wait(at: At):
    piles: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in times(Past(story(), at)).values():
        piles[month(row["opened_at"]), row["priority"]].append(row)
    expected: dict[Any, dict[str, Any]] = {}
    for pile, found in piles.items():
        expected[pile] = {
            "tickets": len(found),
            "reopened": sum(r["reopenings"] > 0 for r in found),
        }
        for count, name in (("answered", "first_response"), ("solved", "resolution")):
            known = [row[f"{name}_hours"] for row in found if row[f"{name}_hours"] is not None]
            expected[pile] |= {
                count: len(known),
                f"{name}_median_hours": quantile(known, 0.5),
                f"{name}_p90_hours": quantile(known, 0.9),
            }
    check(reports().ask("ticket_summary", at=at), "month priority", expected)


@AT
def test_of_each_ticket_the_last_rating_counts(at: At):
    past = Past(story(), at)
    last = {rated.stream_id: rated for rated in past.happened(TicketRated)}
    piles: dict[Any, list[int]] = defaultdict(list)
    for id, rated in last.items():
        state = Ticket()
        for recorded in story():
            if recorded.stream_id == id and recorded.position <= rated.position:
                state = state.evolve(recorded.event)
        piles[month(rated.occurred_at), state.assignee].append(rated.event.rating)
    expected = {
        pile: {
            "ratings": len(found),
            "csat": share(sum(rating >= 4 for rating in found), len(found)),
            "mean_rating": mean(found),
            "bad_ratings": sum(rating <= 2 for rating in found),
        }
        for pile, found in piles.items()
    }
    check(reports().ask("ticket_csat", at=at), "month owner", expected)
