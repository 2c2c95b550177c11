"""The life of a ticket, held against a table written by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis.strategies import builds, just, sampled_from

from commands.ticket import (
    AddTicketNote,
    AssignTicket,
    CategorizeTicket,
    ChangeTicketPriority,
    CloseTicket,
    HearFromTicketRequester,
    OpenTicket,
    PutTicketOnHold,
    PutTicketPending,
    RateTicket,
    ReopenTicket,
    ReplyToTicket,
    ResumeTicket,
    SetTicketCustomFields,
    SolveTicket,
)
from domain.base import Event
from domain.custom_fields import custom_fields_id
from domain.ticket import (
    Ticket,
    TicketAssigned,
    TicketClosed,
    TicketRated,
    TicketReopened,
    TicketReplied,
    TicketRequesterHeard,
    TicketSolved,
)
from tests.examples import GONE, LEFT, MOSES, VIOLET, at_work, declared
from tests.given import History, given
from tests.machines import LifeCycle, explore


def what_the_history_of_a_ticket_says(history: History) -> None:
    ticket = history.load(Ticket, history.id)
    events: tuple[Any, ...] = history.events[history.id]
    changes = [event for event in events if hasattr(event, "to_status")]
    path = ["new", *(change.to_status for change in changes)]
    assert [change.from_status for change in changes] == path[:-1]
    assert all(before != after for before, after in pairwise(path))
    assert path.count("new") == 1
    assert ticket.status == path[-1]
    counted: dict[type[Event], tuple[str, int]] = {
        TicketReplied: ("reply_number", ticket.replies),
        TicketRequesterHeard: ("comment_number", ticket.comments),
        TicketReopened: ("reopenings", ticket.reopenings),
    }
    for kind, (number, last) in counted.items():
        numbers = [getattr(event, number) for event in events if isinstance(event, kind)]
        assert numbers == list(range(1, last + 1))


def who_is_responsible(history: History) -> None:
    events: tuple[Any, ...] = history.events[history.id]
    solved = [at for at, event in enumerate(events) if isinstance(event, TicketSolved)]
    assigned = [at for at, event in enumerate(events) if isinstance(event, TicketAssigned)]
    assert not solved or min(assigned) < min(solved), "solved by nobody"
    assert all(events[at].assignee != GONE for at in assigned)
    closed = [at for at, event in enumerate(events) if isinstance(event, TicketClosed)]
    after = events[closed[0] + 1 :] if closed else ()
    assert all(isinstance(event, TicketRated) for event in after)


def what_is_always_so(history: History) -> None:
    what_the_history_of_a_ticket_says(history)
    who_is_responsible(history)


EVERYWHERE = (AssignTicket, AddTicketNote, ChangeTicketPriority, CategorizeTicket)
"""What changes no status, unless the ticket is new or closed."""


def stays(status, *more):
    """A row of the table: what may be done here and leaves the ticket in its status."""
    commands = (*EVERYWHERE, ReplyToTicket, SetTicketCustomFields, *more)
    return {command: {status} for command in commands}


TICKET = LifeCycle(
    of=Ticket,
    beginning=given()
    .and_on(custom_fields_id("ticket"), *declared("ticket"))
    .and_on(GONE, *LEFT)
    .and_on(MOSES, at_work("moses"))
    .and_on(VIOLET, at_work("violet")),
    commands={
        OpenTicket: builds(
            OpenTicket,
            title=sampled_from(["Wrong address", "Late parcel"]),
            channel=just("email"),
        ),
        AssignTicket: builds(AssignTicket, assignee=sampled_from([MOSES, VIOLET, GONE])),
        ReplyToTicket: just(ReplyToTicket(body="On its way.")),
        HearFromTicketRequester: builds(
            HearFromTicketRequester, channel=sampled_from(["email", "phone"]), body=just("Hello?")
        ),
        AddTicketNote: just(AddTicketNote(body="Ask Bob.")),
        PutTicketPending: just(PutTicketPending()),
        PutTicketOnHold: builds(PutTicketOnHold, hold_reason=sampled_from(["Carrier", "Bank"])),
        ResumeTicket: just(ResumeTicket()),
        SolveTicket: builds(SolveTicket, resolution=sampled_from(["Sent it.", "Explained."])),
        ReopenTicket: builds(ReopenTicket, reopen_reason=sampled_from(["not_fixed", "other"])),
        CloseTicket: just(CloseTicket()),
        ChangeTicketPriority: builds(
            ChangeTicketPriority, priority=sampled_from(["low", "normal", "high", "urgent"])
        ),
        CategorizeTicket: builds(CategorizeTicket, category=sampled_from(["billing", "shipping"])),
        RateTicket: builds(RateTicket, rating=sampled_from([1, 5])),
        SetTicketCustomFields: builds(
            SetTicketCustomFields,
            custom=sampled_from([{"visits": 1}, {"visits": 2, "nickname": "Al"}, {"unknown": 1}]),
        ),
    },
    moves={
        "unknown": {OpenTicket: {"new"}},
        "new": stays("new", HearFromTicketRequester)
        | {AssignTicket: {"open"}, ReplyToTicket: {"open"}},
        "open": stays("open", HearFromTicketRequester)
        | {
            PutTicketPending: {"pending"},
            PutTicketOnHold: {"on_hold"},
            SolveTicket: {"solved"},
        },
        "pending": stays("pending")
        | {
            HearFromTicketRequester: {"open"},
            ResumeTicket: {"open"},
            PutTicketOnHold: {"on_hold"},
            SolveTicket: {"solved"},
        },
        "on_hold": stays("on_hold")
        | {
            HearFromTicketRequester: {"open"},
            ResumeTicket: {"open"},
            PutTicketPending: {"pending"},
            SolveTicket: {"solved"},
        },
        "solved": stays("solved", RateTicket)
        | {
            HearFromTicketRequester: {"open"},
            ReopenTicket: {"open"},
            CloseTicket: {"closed"},
        },
        "closed": {RateTicket: {"closed"}},
    },
    repeatable={ReplyToTicket, HearFromTicketRequester, AddTicketNote},
    invariant=what_is_always_so,
)


def test_a_ticket_lives_by_the_table():
    explore(TICKET)
