"""A ticket is opened, answered, solved and closed, and its requester can open it again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

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
from domain.base import HIDDEN, ReferenceUnknown, fold
from domain.contact import ContactCreated
from domain.custom_fields import CustomFieldsDeclared, CustomFieldUnknown, custom_fields_id
from domain.customer import CustomerCreated
from domain.ticket import (
    Ticket,
    TicketAlreadyOpened,
    TicketAssigned,
    TicketCategorized,
    TicketClosed,
    TicketCustomFieldsSet,
    TicketFollowsUnclosed,
    TicketNoted,
    TicketNotSolved,
    TicketOpened,
    TicketPriorityChanged,
    TicketPutOnHold,
    TicketPutPending,
    TicketRated,
    TicketReopened,
    TicketReplied,
    TicketRequesterHeard,
    TicketResumed,
    TicketSealed,
    TicketSolved,
    TicketStarted,
    TicketUnknown,
)
from domain.user import UserDeactivated, UserInactive, UserRegistered
from tests.examples import at_work
from tests.given import given, new_id

AGENT, OTHER = new_id("agent"), new_id("other")
CUSTOMER, CONTACT, BEFORE = new_id("customer"), new_id("contact"), new_id("before")
ASKED = {
    "customer_id": None, "contact_id": None, "title": "Wrong address", "body": "Please correct.",
    "channel": "email", "priority": "high", "category": "billing", "follow_up_of": None,
}  # fmt: skip
OPENED = TicketOpened(**ASKED, custom={}, custom_personal={})
ASSIGNED = TicketAssigned(assignee=AGENT, previous_assignee=None)
STARTED = TicketStarted(from_status="new", to_status="open")
REPLIED = TicketReplied(reply_number=1, body="On its way.")
PENDING = TicketPutPending(from_status="open", to_status="pending")
ON_HOLD = TicketPutOnHold(from_status="open", to_status="on_hold", hold_reason="Carrier")
SOLVED = TicketSolved(from_status="open", to_status="solved", resolution="Sent it.")
CLOSED = TicketClosed(from_status="solved", to_status="closed")
REOPENED = TicketReopened(
    conflicts=(), from_status="solved", to_status="open", reopen_reason="not_fixed", reopenings=1
)
HISTORIES = {
    "new": (OPENED,),
    "open": (OPENED, ASSIGNED, STARTED),
    "pending": (OPENED, ASSIGNED, STARTED, PENDING),
    "on_hold": (OPENED, ASSIGNED, STARTED, ON_HOLD),
    "solved": (OPENED, ASSIGNED, STARTED, SOLVED),
    "closed": (OPENED, ASSIGNED, STARTED, SOLVED, CLOSED),
}
UNCLOSED = [status for status in HISTORIES if status != "closed"]
AGENT_REGISTERED = UserRegistered(
    name="Eve", email=None, handle="eve", team="Support", manager_id=None
)
CREATED = CustomerCreated(
    name="Example", website=None, tier="standard", industry=None, country=None, currency=None,
    employees=None, annual_revenue=None, parent_id=None, owner=None, custom={}, custom_personal={},
)  # fmt: skip
MET = ContactCreated(
    person_id=CONTACT, name="Bob", email=None, phone=None, email_kind="none", has_phone=False,
    title=None, title_level="other", lead_id=None, custom={}, custom_personal={},
)  # fmt: skip
MODEL = CustomFieldsDeclared(
    aggregate="ticket", name="model", field_type="text", unit=None, personal=False, description=""
)
HAND = MODEL.model_copy(update={"name": "hand", "personal": True})
OF_TICKETS = custom_fields_id("ticket")


def ticket(status):
    """A ticket in this status, with an agent as soon as it is open."""
    return given(*HISTORIES[status])


def test_every_history_ends_in_the_status_it_is_named_after():
    assert {status: fold(Ticket(), past).status for status, past in HISTORIES.items()} == {
        status: status for status in HISTORIES
    }


def test_somebody_asks_for_help():
    given().when(OpenTicket(**ASKED)).then(OPENED)


def test_a_ticket_knows_its_customer_and_its_contact():
    asked = ASKED | {"customer_id": CUSTOMER, "contact_id": CONTACT}
    world = given().and_on(CUSTOMER, CREATED).and_on(CONTACT, MET)
    world.when(OpenTicket(**asked)).then(TicketOpened(**asked, custom={}, custom_personal={}))


def test_nobody_asks_for_an_unknown_customer():
    given().when(OpenTicket(**ASKED | {"customer_id": CUSTOMER})).refused(
        ReferenceUnknown, field="customer_id", id=CUSTOMER
    )


def test_nobody_asks_for_an_unknown_contact():
    given().when(OpenTicket(**ASKED | {"contact_id": CONTACT})).refused(
        ReferenceUnknown, field="contact_id", id=CONTACT
    )


def test_a_ticket_is_opened_with_custom_fields():
    asked = OpenTicket(**ASKED, custom={"model": "X1", "hand": "left"})
    opened = TicketOpened(**ASKED, custom={"model": "X1"}, custom_personal={"hand": "left"})
    given().and_on(OF_TICKETS, MODEL, HAND).when(asked).then(opened)


def test_a_ticket_is_not_opened_with_undeclared_fields():
    asked = OpenTicket(**ASKED, custom={"model": "X1"})
    given().when(asked).refused(CustomFieldUnknown, name="model", aggregate="ticket")


@pytest.mark.parametrize("status", HISTORIES)
def test_a_ticket_is_opened_once(status):
    ticket(status).when(OpenTicket(**ASKED)).nothing()


def test_a_ticket_is_not_opened_again_with_other_values():
    ticket("new").when(OpenTicket(**ASKED | {"title": "Other"})).refused(TicketAlreadyOpened)


def test_a_closed_ticket_is_followed_by_a_new_one():
    asked = ASKED | {"follow_up_of": BEFORE}
    followed = TicketOpened(**asked, custom={}, custom_personal={})
    given().and_on(BEFORE, *HISTORIES["closed"]).when(OpenTicket(**asked)).then(followed)


@pytest.mark.parametrize("status", UNCLOSED)
def test_a_ticket_that_is_not_closed_gets_no_follow_up(status):
    wish = OpenTicket(**ASKED | {"follow_up_of": BEFORE})
    world = given().and_on(BEFORE, *HISTORIES[status])
    world.when(wish).refused(TicketFollowsUnclosed, follow_up_of=BEFORE, status=status)


def test_a_follow_up_follows_something():
    wish = OpenTicket(**ASKED | {"follow_up_of": BEFORE})
    given().when(wish).refused(ReferenceUnknown, field="follow_up_of", id=BEFORE)


def test_a_new_ticket_is_open_once_it_is_assigned():
    world = ticket("new").and_on(AGENT, AGENT_REGISTERED)
    world.when(AssignTicket(assignee=AGENT)).then(ASSIGNED, STARTED)


@pytest.mark.parametrize("status", ["open", "pending", "on_hold", "solved"])
def test_a_ticket_goes_to_another_agent_and_keeps_its_status(status):
    assigned = TicketAssigned(assignee=OTHER, previous_assignee=AGENT)
    world = ticket(status).and_on(OTHER, at_work("otto"))
    world.when(AssignTicket(assignee=OTHER)).then(assigned)


@pytest.mark.parametrize("status", ["open", "pending", "on_hold", "solved"])
def test_a_ticket_stays_with_its_agent(status):
    ticket(status).when(AssignTicket(assignee=AGENT)).nothing()


def test_a_ticket_does_not_go_to_somebody_who_left():
    world = ticket("new").and_on(AGENT, AGENT_REGISTERED, UserDeactivated())
    world.when(AssignTicket(assignee=AGENT)).refused(UserInactive, user_id=AGENT)


def test_the_first_reply_opens_a_new_ticket():
    ticket("new").when(ReplyToTicket(body="On its way.")).then(REPLIED, STARTED)


@pytest.mark.parametrize("status", ["open", "pending", "on_hold", "solved"])
def test_replies_are_counted_and_leave_the_status(status):
    after = ticket(status).when(ReplyToTicket(body="On its way.")).then(REPLIED)
    second = TicketReplied(reply_number=2, body="Did it come?")
    after.when(ReplyToTicket(body="Did it come?")).then(second)


@pytest.mark.parametrize("command", [ReplyToTicket, AddTicketNote])
def test_an_empty_message_is_none(command):
    with pytest.raises(ValidationError):
        command(body="")


@pytest.mark.parametrize("status", ["new", "open"])
def test_the_requester_adds_something(status):
    heard = TicketRequesterHeard(comment_number=1, channel="phone", body="And the name.")
    after = ticket(status).when(HearFromTicketRequester(channel="phone", body="And the name."))
    again = TicketRequesterHeard(comment_number=2, channel="chat", body="Thanks.")
    after.then(heard).when(HearFromTicketRequester(channel="chat", body="Thanks.")).then(again)


@pytest.mark.parametrize("status", ["pending", "on_hold"])
def test_the_requester_ends_the_waiting(status):
    heard = TicketRequesterHeard(comment_number=1, channel="email", body="Here it is.")
    resumed = TicketResumed(from_status=status, to_status="open")
    wish = HearFromTicketRequester(channel="email", body="Here it is.")
    ticket(status).when(wish).then(heard, resumed)


def test_the_requester_opens_a_solved_ticket_again():
    heard = TicketRequesterHeard(comment_number=1, channel="email", body="Still wrong.")
    reopened = REOPENED.model_copy(update={"reopen_reason": "requester_wrote"})
    wish = HearFromTicketRequester(channel="email", body="Still wrong.")
    ticket("solved").when(wish).then(heard, reopened)


@pytest.mark.parametrize("status", UNCLOSED)
def test_a_note_changes_nothing_else(status):
    after = ticket(status).when(AddTicketNote(body="Ask Bob.")).then(TicketNoted(body="Ask Bob."))
    assert after.load(Ticket, after.id) == fold(Ticket(), HISTORIES[status])


@pytest.mark.parametrize("status", UNCLOSED)
def test_a_ticket_becomes_urgent(status):
    changed = TicketPriorityChanged(priority="urgent", previous_priority="high")
    ticket(status).when(ChangeTicketPriority(priority="urgent")).then(changed)


def test_a_ticket_that_is_as_urgent_already_stays_so():
    ticket("open").when(ChangeTicketPriority(priority="high")).nothing()


@pytest.mark.parametrize("status", UNCLOSED)
def test_it_becomes_clear_what_a_ticket_is_about(status):
    categorized = TicketCategorized(category="shipping", previous_category="billing")
    ticket(status).when(CategorizeTicket(category="shipping")).then(categorized)


def test_it_is_clear_already_what_a_ticket_is_about():
    ticket("open").when(CategorizeTicket(category="billing")).nothing()


@pytest.mark.parametrize("status", ["solved", "closed"])
def test_help_that_was_given_is_rated(status):
    ticket(status).when(RateTicket(rating=5, body="Quick.")).then(
        TicketRated(rating=5, body="Quick.")
    )


@pytest.mark.parametrize("status", ["solved", "closed"])
def test_a_rating_is_given_once_and_can_be_changed(status):
    rated = given(*HISTORIES[status], TicketRated(rating=5, body="Quick."))
    rated.when(RateTicket(rating=5, body="Quick.")).nothing()
    rated.when(RateTicket(rating=1)).then(TicketRated(rating=1, body=""))


@pytest.mark.parametrize("status", ["new", "open", "pending", "on_hold"])
def test_help_that_was_not_given_yet_is_not_rated(status):
    ticket(status).when(RateTicket(rating=5)).refused(TicketNotSolved, status=status)


@pytest.mark.parametrize("rating", [0, 6])
def test_a_rating_is_one_to_five(rating):
    with pytest.raises(ValidationError):
        RateTicket(rating=rating)


def test_custom_fields_of_a_ticket_are_set():
    world = ticket("open").and_on(OF_TICKETS, MODEL, HAND)
    was_set = TicketCustomFieldsSet(custom={"model": "X1"}, custom_personal={"hand": "left"})
    after = world.when(SetTicketCustomFields(custom={"model": "X1", "hand": "left"})).then(was_set)
    after.when(SetTicketCustomFields(custom={"model": "X1"})).nothing()


def test_undeclared_fields_of_a_ticket_are_not_set():
    wish = SetTicketCustomFields(custom={"model": "X1"})
    ticket("open").when(wish).refused(CustomFieldUnknown, name="model")


COMMANDS_ON_A_TICKET = [
    AssignTicket(assignee=OTHER),
    ReplyToTicket(body="x"),
    HearFromTicketRequester(channel="email", body="x"),
    AddTicketNote(body="x"),
    PutTicketPending(),
    PutTicketOnHold(hold_reason="x"),
    ResumeTicket(),
    SolveTicket(),
    ReopenTicket(reopen_reason="other"),
    ChangeTicketPriority(priority="low"),
    CategorizeTicket(category="x"),
    SetTicketCustomFields(custom={}),
]


@pytest.mark.parametrize("wish", COMMANDS_ON_A_TICKET, ids=lambda wish: type(wish).__name__)
def test_a_closed_ticket_no_longer_changes(wish):
    ticket("closed").and_on(OTHER, at_work("otto")).when(wish).refused(TicketSealed)


@pytest.mark.parametrize(
    "wish",
    [*COMMANDS_ON_A_TICKET, CloseTicket(), RateTicket(rating=5)],
    ids=lambda wish: type(wish).__name__,
)
def test_nothing_is_asked_of_an_unknown_ticket(wish):
    given().when(wish).refused(TicketUnknown)


def test_a_ticket_read_without_keys_still_folds():
    hidden = OPENED.model_copy(update={"title": HIDDEN, "body": HIDDEN, "custom_personal": HIDDEN})
    replied = TicketReplied(reply_number=1, body=HIDDEN)
    solved = SOLVED.model_copy(update={"resolution": HIDDEN})
    rated = TicketRated(rating=4, body=HIDDEN)
    folded = fold(Ticket(), [hidden, ASSIGNED, STARTED, replied, solved, rated])
    assert (folded.status, folded.replies, folded.assignee) == ("solved", 1, AGENT)
