"""Where a ticket goes: it waits, goes on, is solved, reopened and closed."""

from __future__ import annotations

import pytest

from commands.ticket import (
    CloseTicket,
    PutTicketOnHold,
    PutTicketPending,
    ReopenTicket,
    ResumeTicket,
    SolveTicket,
)
from domain.ticket import (
    TicketNotOpen,
    TicketNotSolved,
    TicketNotWaiting,
    TicketPutPending,
    TicketResumed,
    TicketUnassigned,
)
from tests.given import given
from tests.test_ticket import (
    CLOSED,
    HISTORIES,
    ON_HOLD,
    OPENED,
    REOPENED,
    REPLIED,
    SOLVED,
    STARTED,
    ticket,
)


@pytest.mark.parametrize("status", ["open", "on_hold"])
def test_a_ticket_waits_for_its_requester(status):
    pending = TicketPutPending(from_status=status, to_status="pending")
    ticket(status).when(PutTicketPending()).then(pending)


def test_a_ticket_waits_for_its_requester_already():
    ticket("pending").when(PutTicketPending()).nothing()


@pytest.mark.parametrize("status", ["new", "solved"])
def test_a_ticket_nobody_works_on_does_not_wait_for_its_requester(status):
    ticket(status).when(PutTicketPending()).refused(TicketNotOpen, status=status)


@pytest.mark.parametrize("status", ["open", "pending"])
def test_a_ticket_waits_for_somebody_else(status):
    on_hold = ON_HOLD.model_copy(update={"from_status": status})
    ticket(status).when(PutTicketOnHold(hold_reason="Carrier")).then(on_hold)


def test_a_ticket_waits_for_somebody_else_already():
    ticket("on_hold").when(PutTicketOnHold(hold_reason="Carrier")).nothing()


def test_a_ticket_that_waits_for_one_thing_is_resumed_before_it_waits_for_another():
    wish = PutTicketOnHold(hold_reason="Supplier")
    ticket("on_hold").when(wish).refused(TicketNotOpen, status="on_hold")


def test_a_ticket_can_wait_for_the_same_thing_twice():
    resumed = TicketResumed(from_status="on_hold", to_status="open")
    world = given(*HISTORIES["on_hold"], resumed)
    world.when(PutTicketOnHold(hold_reason="Carrier")).then(ON_HOLD)


@pytest.mark.parametrize("status", ["new", "solved"])
def test_a_ticket_nobody_works_on_is_not_put_on_hold(status):
    ticket(status).when(PutTicketOnHold(hold_reason="Carrier")).refused(
        TicketNotOpen, status=status
    )


@pytest.mark.parametrize("status", ["pending", "on_hold"])
def test_a_waiting_ticket_goes_on(status):
    resumed = TicketResumed(from_status=status, to_status="open")
    ticket(status).when(ResumeTicket()).then(resumed)


def test_an_open_ticket_goes_on_anyway():
    ticket("open").when(ResumeTicket()).nothing()


@pytest.mark.parametrize("status", ["new", "solved"])
def test_a_ticket_that_does_not_wait_does_not_go_on(status):
    ticket(status).when(ResumeTicket()).refused(TicketNotWaiting, status=status)


@pytest.mark.parametrize("status", ["open", "pending", "on_hold"])
def test_a_ticket_is_solved(status):
    solved = SOLVED.model_copy(update={"from_status": status})
    ticket(status).when(SolveTicket(resolution="Sent it.")).then(solved)


def test_a_ticket_is_solved_once():
    ticket("solved").when(SolveTicket(resolution="Sent it.")).nothing()


def test_a_solved_ticket_is_not_solved_otherwise():
    wish = SolveTicket(resolution="Sent it twice.")
    ticket("solved").when(wish).refused(TicketNotOpen, status="solved")


def test_a_ticket_is_solved_again_in_the_same_way_after_it_was_reopened():
    world = given(*HISTORIES["solved"], REOPENED)
    world.when(SolveTicket(resolution="Sent it.")).then(SOLVED)


@pytest.mark.parametrize("history", [(OPENED,), (OPENED, REPLIED, STARTED)])
def test_it_takes_an_assignee_to_solve_a_ticket(history):
    given(*history).when(SolveTicket(resolution="Sent it.")).refused(TicketUnassigned)


def test_a_solved_ticket_is_reopened():
    ticket("solved").when(ReopenTicket(reopen_reason="not_fixed")).then(REOPENED)


def test_a_ticket_is_reopened_once():
    world = given(*HISTORIES["solved"], REOPENED)
    world.when(ReopenTicket(reopen_reason="not_fixed")).nothing()
    world.when(ReopenTicket(reopen_reason="other")).refused(TicketNotSolved, status="open")


def test_reopenings_are_counted():
    world = given(*HISTORIES["solved"], REOPENED, SOLVED)
    second = REOPENED.model_copy(update={"reopenings": 2})
    world.when(ReopenTicket(reopen_reason="not_fixed")).then(second)


@pytest.mark.parametrize("status", ["new", "open", "pending", "on_hold"])
def test_only_a_solved_ticket_is_reopened(status):
    wish = ReopenTicket(reopen_reason="other")
    ticket(status).when(wish).refused(TicketNotSolved, status=status)


def test_a_solved_ticket_is_closed():
    ticket("solved").when(CloseTicket()).then(CLOSED)


def test_a_ticket_is_closed_once():
    ticket("closed").when(CloseTicket()).nothing()


@pytest.mark.parametrize("status", ["new", "open", "pending", "on_hold"])
def test_only_a_solved_ticket_is_closed(status):
    ticket(status).when(CloseTicket()).refused(TicketNotSolved, status=status)
