"""Two records are one, and two again as if they had never been."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given as whatever
from hypothesis import settings
from hypothesis import strategies as st

from commands.base import Command, On
from commands.contact import (
    ArchiveContact,
    ChangeContactEmail,
    ChangeContactPhone,
    ChangeContactTitle,
    CreateContact,
    GrantConsent,
    LinkContact,
    RenameContact,
    RetractContact,
    SetContactCustomFields,
    UnlinkContact,
    WithdrawConsent,
)
from commands.conversion import ConvertLead
from commands.customer import (
    AssignCustomer,
    ChangeCustomerTier,
    CloseCustomer,
    CreateCustomer,
    ReactivateCustomer,
    RenameCustomer,
    RetractCustomer,
    SetCustomerCustomFields,
    SetCustomerPreferences,
)
from commands.deal import LinkDeal, OpenDeal
from commands.merger import (
    MergeContact,
    MergeCustomer,
    MergeTicket,
    UnmergeContact,
    UnmergeCustomer,
    UnmergeTicket,
)
from commands.subject import ForgetContact, ForgetCustomer, PlaceContactLegalHold
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
    RetractTicket,
    SetTicketCustomFields,
    SolveTicket,
)
from domain.base import HIDDEN, ReferenceUnknown, aggregate_of
from domain.contact import PARTS as CONTACT
from domain.contact import (
    Contact,
    ContactAbsorbed,
    ContactArchived,
    ContactConsentWithdrawn,
    ContactEmailTaken,
    ContactMerged,
    ContactNotActive,
    ContactSeparated,
    ContactUnknown,
    ContactUnlinked,
    ContactUnmerged,
)
from domain.custom_fields import custom_fields_id
from domain.customer import PARTS as CUSTOMERS
from domain.customer import Customer, CustomerClosed, CustomerIdentityTaken, CustomerNotActive
from domain.lead import LeadConverted
from domain.merger import (
    RecordHasMerged,
    RecordHidden,
    RecordIsMerged,
    RecordMergedIntoItself,
    RecordNotMerged,
    parts_of,
)
from domain.subject import SubjectForgotten, SubjectIsHeld, subject_stream
from domain.ticket import PARTS as TICKETS
from domain.ticket import Ticket, TicketClosed, TicketSealed
from domain.undo import Conflict
from tests.examples import (
    CAPTURED,
    CREATED,
    CUSTOMER,
    DEFINED,
    LINKED,
    MET,
    MOSES,
    OPENED,
    OTHER,
    PIPELINE,
    VIOLET,
    at_work,
    declared,
    knowing,
)
from tests.given import HERE, History, but, given

if TYPE_CHECKING:
    from collections.abc import Callable

WHY = "Typed in twice"
A, B, C = (UUID(int=0xAB0 + number) for number in range(3))
ANN = but(MET, person_id=A, email="ann@acme.example.com", title=None, title_level="other")
ANNE = but(
    MET,
    person_id=B,
    name="Anne Example",
    email="anne@gmail.com",
    email_kind="free",
    custom={"x": 1},
)


def at(history: History, id: UUID) -> History:
    """The same history, with the next command going to another record."""
    return History(history.events, id)


def do(history: History, id: UUID, command: Command[Any]) -> History:
    """A command that is not refused."""
    decided = at(history, id).when(command)
    assert decided.refusal is None, decided.refusal
    return at(history, id).after(decided.events)


def people() -> History:
    return given().and_on(A, ANN).and_on(B, ANNE).and_on(CUSTOMER, CREATED)


def merged(*take: str, history: History | None = None) -> History:
    """Anne was merged into Ann."""
    return do(history or people(), B, MergeContact(into=A, take=take, reason=WHY))


def test_one_contact_is_merged_into_another_once():
    wish = MergeContact(into=A, take=("email", "title"), reason=WHY)
    values: dict[str, Any] = {
        "name_from": None,
        "email_from": B,
        "email_kind": "free",
        "phone_from": None,
        "has_phone": False,
        "title": "Head of Purchasing",
        "title_level": "manager",
        "custom": {},
    }
    at(people(), B).when(wish).then(
        ContactMerged(merged_into=A, taken=("email", "title"), reason=WHY),
        On(A, ContactAbsorbed(merged_id=B, **values)),
    ).when(wish).nothing()


def test_what_is_asked_of_a_merged_contact_is_refused_by_the_name_of_the_survivor():
    history = at(merged(), B)
    for command in (
        RenameContact(name="X"),
        ChangeContactEmail(email=None),
        GrantConsent(**GrantConsent.example),
        LinkContact(customer_id=CUSTOMER),
        ArchiveContact(reason=WHY),
        RetractContact(reason=WHY),
        MergeContact(into=A, take=("name",), reason=WHY),
    ):
        history.when(command).refused(RecordIsMerged, kind="contact", merged_into=A)


def test_who_does_not_want_to_be_addressed_is_heard_under_either_name():
    withdrawn = WithdrawConsent(channel="email", source="Old link")
    at(merged(), B).when(withdrawn).then(
        ContactConsentWithdrawn(channel="email", purpose="any", source="Old link", proof=None)
    )


def test_only_what_stands_alone_is_merged():
    history = merged().and_on(C, but(MET, person_id=C, email="c@example.com"))
    wish = MergeContact(into=A, reason=WHY)
    at(history, A).when(wish).refused(RecordMergedIntoItself, kind="contact")
    at(history, A).when(MergeContact(into=C, reason=WHY)).refused(RecordHasMerged, merged_id=B)
    at(history, C).when(MergeContact(into=B, reason=WHY)).refused(RecordIsMerged, merged_into=A)
    at(history, C).when(MergeContact(into=OTHER, reason=WHY)).refused(ReferenceUnknown)
    at(history, OTHER).when(wish).refused(ContactUnknown)
    at(history, C).when(UnmergeContact(reason=WHY)).refused(RecordNotMerged, kind="contact")
    archived = history.and_on(A, ContactArchived(reason=WHY))
    at(archived, C).when(wish).refused(ContactNotActive, status="archived")
    hidden = history.and_on(OTHER, but(MET, person_id=OTHER, name=HIDDEN, email=HIDDEN))
    at(hidden, OTHER).when(wish).refused(RecordHidden, id=OTHER)
    at(hidden, C).when(MergeContact(into=OTHER, reason=WHY)).refused(RecordHidden, id=OTHER)
    at(history, A).when(RetractContact(reason=WHY)).refused(RecordHasMerged, merged_id=B)


@pytest.mark.parametrize("take", [(), ("email",)])
def test_both_addresses_belong_to_the_survivor(take):
    history = merged(*take)
    for email in ("ann@acme.example.com", "anne@gmail.com"):
        again = CreateContact(name="Another", email=email)
        at(history, C).when(again).refused(ContactEmailTaken, contact_id=A)
    lead = at(history.and_on(C, but(CAPTURED, email="anne@gmail.com")), C)
    [*_, converted] = lead.when(ConvertLead()).events
    assert isinstance(converted, LeadConverted)
    assert converted.contact_id == A


def test_an_archived_survivor_frees_the_addresses_of_both():
    history = do(merged(), A, ArchiveContact(reason="Left"))
    for then in (history, do(history, B, UnmergeContact(reason=WHY))):
        assert not [kind for kind, _ in then.holders if kind == "contact.email"]


def test_a_role_is_ended_wherever_it_was_told():
    history = merged(history=people().and_on(B, LINKED))
    ended = ContactUnlinked(customer_id=CUSTOMER, until=None)
    at(history, A).when(UnlinkContact(customer_id=CUSTOMER)).then(On(B, ended))


def test_what_was_changed_since_stays_and_is_told():
    history = merged("email", "phone", "title", "custom")
    history = do(history, A, ChangeContactEmail(email="new@example.com"))
    conflict = Conflict(kind="contact", id=A, field="email")
    decided = at(history, B).when(UnmergeContact(reason="Two"))
    [own, on] = decided.events
    assert own == ContactUnmerged(reason="Two")
    assert isinstance(on, On)
    assert isinstance(on.event, ContactSeparated)
    assert on.event.conflicts == (conflict,)
    after = at(history, B).after(decided.events)
    ann = after.load(Contact, A)
    assert (ann.email, ann.email_from, ann.title) == ("new@example.com", None, None)
    assert (ann.phone_from, ann.custom) == (None, {})
    after.when(UnmergeContact(reason="Two")).nothing()
    after.when(UnmergeContact(reason="Three")).refused(RecordNotMerged)


def test_with_either_of_two_that_are_one_both_are_forgotten_under_their_own_keys():
    for id in (A, B):
        [on] = at(merged("name"), id).when(ForgetContact(reason=WHY)).events
        assert isinstance(on, On)
        assert isinstance(on.event, SubjectForgotten)
        assert on.event.record_ids == on.event.key_ids == (A, B)


def test_of_two_that_are_two_again_only_one_is_forgotten():
    history = do(merged("name", "email"), B, UnmergeContact(reason=WHY))
    for id in (A, B):
        [on] = at(history, id).when(ForgetContact(reason=WHY)).events
        assert isinstance(on, On)
        assert isinstance(on.event, SubjectForgotten)
        assert on.event.record_ids == on.event.key_ids == (id,)


def test_a_hold_on_the_merged_one_keeps_the_survivor():
    history = do(merged(), B, PlaceContactLegalHold(matter="Case 1"))
    at(history, A).when(ForgetContact(reason=WHY)).refused(SubjectIsHeld, id=B)


def test_with_a_customer_those_are_forgotten_who_are_known_through_what_was_merged_into_it():
    history = people().and_on(OTHER, but(CREATED, name="Acme North"))
    history = history.and_on(B, but(LINKED, customer_id=OTHER))
    history = do(history, OTHER, MergeCustomer(into=CUSTOMER, reason=WHY))
    [on] = at(history, CUSTOMER).when(ForgetCustomer(reason=WHY)).events
    assert isinstance(on, On)
    assert isinstance(on.event, SubjectForgotten)
    assert set(on.event.record_ids) == {CUSTOMER, OTHER, B}
    elsewhere = history.and_on(C, but(CREATED, name="Else")).and_on(
        A, but(LINKED, customer_id=C), but(LINKED, customer_id=CUSTOMER)
    )
    one = do(elsewhere, B, MergeContact(into=A, reason=WHY))
    [on] = at(one, CUSTOMER).when(ForgetCustomer(reason=WHY)).events
    assert isinstance(on, On)
    assert isinstance(on.event, SubjectForgotten)
    assert set(on.event.record_ids) == {CUSTOMER, OTHER}


def test_a_survivor_that_bears_the_other_name_keeps_its_own():
    history = given().and_on(A, CREATED).and_on(B, but(CREATED, name="Zeta"))
    history = do(history, B, MergeCustomer(into=A, take=("name", "tier"), reason=WHY))
    assert history.load(Customer, A).name == "Zeta"
    for name in ("Acme", "ZETA Ltd"):
        at(history, C).when(CreateCustomer(name=name)).refused(CustomerIdentityTaken, customer_id=A)
    history = do(history, A, RenameCustomer(name="Acme Ltd"))
    assert history.load(Customer, A).name_from is None


def test_nothing_is_sold_to_a_merged_customer_or_asked_of_it():
    history = (
        given().and_on(A, CREATED).and_on(B, but(CREATED, name="Zeta")).and_on(PIPELINE, DEFINED)
    )
    history = do(history, B, MergeCustomer(into=A, reason=WHY))
    for id, command in (
        (B, ChangeCustomerTier(tier="premium")),
        (B, CloseCustomer(reason=WHY)),
        (C, OpenDeal(**OpenDeal.example | {"customer_id": B, "pipeline_id": PIPELINE})),
    ):
        at(history, id).when(command).refused(RecordIsMerged, kind="customer", merged_into=A)
    at(history, A).when(RetractCustomer(reason=WHY)).refused(RecordHasMerged, merged_id=B)


ASKED_OF_A_MERGED_ONE = (
    AddTicketNote,
    AssignCustomer,
    AssignTicket,
    CategorizeTicket,
    ChangeContactPhone,
    ChangeContactTitle,
    ChangeTicketPriority,
    CloseTicket,
    HearFromTicketRequester,
    PutTicketOnHold,
    PutTicketPending,
    RateTicket,
    ReactivateCustomer,
    RenameCustomer,
    ReopenTicket,
    ReplyToTicket,
    ResumeTicket,
    RetractTicket,
    SetContactCustomFields,
    SetCustomerCustomFields,
    SetCustomerPreferences,
    SetTicketCustomFields,
    SolveTicket,
    UnlinkContact,
)


@pytest.mark.parametrize("command", ASKED_OF_A_MERGED_ONE, ids=lambda one: one.__name__)
def test_whatever_is_asked_of_a_merged_record_is_refused_by_the_name_of_the_survivor(command):
    kind = aggregate_of(command.of)
    merge = KINDS[kind][2]
    history = do(begun(kind), B, merge(into=A, reason=WHY))
    wish = command(**command.example)
    at(knowing(history, wish), B).when(wish).refused(RecordIsMerged, kind=kind, merged_into=A)


def test_a_deal_is_linked_to_the_survivor_and_a_lead_converted_for_it():
    history = do(begun("customer"), B, MergeCustomer(into=A, reason=WHY)).and_on(PIPELINE, DEFINED)
    deal = at(history.and_on(HERE, but(OPENED, customer_id=A)), HERE)
    deal.when(LinkDeal(customer_id=B)).refused(RecordIsMerged, merged_into=A)
    lead = at(history.and_on(HERE, CAPTURED), HERE)
    lead.when(ConvertLead(customer_id=B)).refused(RecordIsMerged, merged_into=A)


@pytest.mark.parametrize(
    ("kind", "merge", "unmerge"),
    [("customer", MergeCustomer, UnmergeCustomer), ("ticket", MergeTicket, UnmergeTicket)],
)
def test_customers_and_tickets_that_stand_alone_are_merged_too(kind, merge, unmerge):
    history = do(begun(kind), B, merge(into=A, reason=WHY))
    at(history, A).when(merge(into=A, reason=WHY)).refused(RecordMergedIntoItself, kind=kind)
    at(history, A).when(merge(into=C, reason=WHY)).refused(RecordHasMerged, merged_id=B)
    at(history, C).when(unmerge(reason=WHY)).refused(RecordNotMerged, kind=kind)
    gone = SubjectForgotten(record_id=C, reason=WHY, key_ids=(C,), record_ids=(C,))
    forgotten = history.and_on(subject_stream(C), gone)
    at(forgotten, C).when(merge(into=A, reason=WHY)).refused(RecordHidden, id=C)


def test_nothing_is_merged_into_what_is_closed():
    customers = begun("customer").and_on(A, CustomerClosed(reason=WHY))
    at(customers, B).when(MergeCustomer(into=A, reason=WHY)).refused(
        CustomerNotActive, status="closed"
    )
    closed = TicketClosed(from_status="solved", to_status="closed")
    tickets = begun("ticket").and_on(A, closed)
    at(tickets, B).when(MergeTicket(into=A, reason=WHY)).refused(TicketSealed)
    merged_ticket = do(begun("ticket"), B, MergeTicket(into=A, reason=WHY))
    at(merged_ticket, A).when(RetractTicket(reason=WHY)).refused(RecordHasMerged, merged_id=B)


EMAILS = st.sampled_from(["p1@example.com", "p2@gmail.com", None])
LINES = st.sampled_from(["Chief Executive Officer", "Clerk", "Head of IT"])
CUSTOM = st.sampled_from([{"visits": 1}, {"visits": 2}, {"visits": None}, {"nickname": "Annie"}])
DAYS = st.sampled_from([CUSTOMER, OTHER])

CONTACT_EDITS = st.one_of(
    st.builds(RenameContact, name=LINES),
    st.builds(ChangeContactEmail, email=EMAILS),
    st.builds(ChangeContactPhone, phone=st.sampled_from(["555-0100", None])),
    st.builds(ChangeContactTitle, title=LINES),
    st.builds(LinkContact, customer_id=DAYS, role=st.sampled_from(["user", "evaluator"])),
    st.builds(UnlinkContact, customer_id=DAYS),
    st.builds(GrantConsent, channel=st.just("email"), source=LINES),
    st.builds(WithdrawConsent, channel=st.just("email"), source=LINES),
    st.builds(SetContactCustomFields, custom=CUSTOM),
)
CUSTOMER_EDITS = st.one_of(
    st.builds(RenameCustomer, name=st.sampled_from(["Alpha", "Beta", "Gamma"])),
    st.builds(ChangeCustomerTier, tier=st.sampled_from(["standard", "premium"])),
    st.builds(AssignCustomer, owner=st.sampled_from([MOSES, VIOLET])),
    st.builds(
        SetCustomerPreferences,
        preferences=st.sampled_from([{"language": "de"}, {"language": None}, {"by": "post"}]),
    ),
    st.builds(SetCustomerCustomFields, custom=CUSTOM),
)
TICKET_EDITS = st.one_of(
    st.builds(AssignTicket, assignee=st.sampled_from([MOSES, VIOLET])),
    st.builds(ChangeTicketPriority, priority=st.sampled_from(["low", "urgent"])),
    st.builds(CategorizeTicket, category=LINES),
    st.builds(ReplyToTicket, body=LINES),
    st.builds(SolveTicket, resolution=LINES),
    st.builds(RateTicket, rating=st.integers(1, 5)),
    st.builds(SetTicketCustomFields, custom=CUSTOM),
)


def world() -> History:
    history = given()
    for kind in ("contact", "customer", "ticket"):
        history = history.and_on(custom_fields_id(kind), *declared(kind))
    return (
        history.and_on(MOSES, at_work("moses"))
        .and_on(VIOLET, at_work("violet"))
        .and_on(CUSTOMER, CREATED)
        .and_on(OTHER, but(CREATED, name="Other"))
    )


def begun(kind: str) -> History:
    """Three records of a kind."""
    history = world()
    for number, id in enumerate((A, B, C)):
        commands: dict[str, Command[Any]] = {
            "contact": CreateContact(name=f"N{number}", email=f"n{number}@example.com"),
            "customer": CreateCustomer(name=f"N{number}"),
            "ticket": OpenTicket(title=f"N{number}", channel="web"),
        }
        history = do(history, id, commands[kind])
    return history


PARTS = {"contact": CONTACT, "customer": CUSTOMERS, "ticket": TICKETS}
KINDS: dict[str, tuple[type[Any], Any, Callable[..., Command[Any]], Any, set[str]]] = {
    "contact": (
        Contact,
        CONTACT_EDITS,
        MergeContact,
        UnmergeContact,
        {"name", "email", "phone", "title", "custom"},
    ),
    "customer": (
        Customer,
        CUSTOMER_EDITS,
        MergeCustomer,
        UnmergeCustomer,
        {"name", "tier", "owner", "custom", "annual_revenue"},
    ),
    "ticket": (
        Ticket,
        TICKET_EDITS,
        MergeTicket,
        UnmergeTicket,
        {"assignee", "priority", "category", "custom"},
    ),
}


def edited(history: History, edits: list[tuple[UUID, Command[Any]]]) -> History:
    """What is left of some wishes: those that are not refused."""
    for id, command in edits:
        history = at(history, id).after(at(history, id).when(command).events)
    return history


def alone(history: History, of: type[Any], id: UUID) -> Any:
    """What is true of a record, but that it was once merged."""
    return replace(history.load(of, id), merger=None)


@pytest.mark.parametrize("kind", KINDS)
def test_unmerging_gives_back_both_whatever_they_were(kind):
    of, edits, merge, unmerge, parts = KINDS[kind]
    takes = st.lists(st.sampled_from(sorted(parts)), unique=True).map(tuple)
    before = st.lists(st.tuples(st.sampled_from([A, B, C]), edits), max_size=8)

    @settings(max_examples=150, deadline=None)
    @whatever(before, takes, takes, st.permutations([B, C]))
    def gives_back(changes, take, take_too, order):
        history = edited(begun(kind), changes)
        then = history
        for id, parts in ((B, take), (C, take_too)):
            then = do(then, id, merge(into=A, take=parts, reason=WHY))
        assert set(then.holders) >= set(history.holders)
        for id in order:
            then = do(then, id, unmerge(reason=WHY))
        for id in (A, B, C):
            assert alone(then, of, id) == alone(history, of, id)
        assert then.holders == history.holders

    gives_back()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_changed_since_is_kept_and_told_where_something_else_was_to_be_restored(kind):
    of, edits, merge, unmerge, names = KINDS[kind]
    takes = st.lists(st.sampled_from(sorted(names)), unique=True).map(tuple)
    some = st.lists(edits, max_size=5)

    @settings(max_examples=150, deadline=None)
    @whatever(some, takes, some)
    def keeps(changes, take, later):
        before = edited(begun(kind), [(B, change) for change in changes])
        after = do(before, B, merge(into=A, take=take, reason=WHY))
        now = edited(after, [(A, change) for change in later])
        then = do(now, B, unmerge(reason=WHY))
        last: Any = then.events[A][-1]
        told = {conflict.field for conflict in last.conflicts}
        was, made, is_, will = (
            parts_of(history.load(of, A), PARTS[kind]) for history in (before, after, now, then)
        )
        for part, value in will.items():
            if isinstance(value, dict):
                keys = {f"{part}.{key}": key for key in {*was[part], *made[part], *is_[part]}}
            else:
                keys = {part: None}
            for name, key in keys.items():
                one, two, three, four = (
                    values[part] if key is None else values[part].get(key, "absent")
                    for values in (was, made, is_, will)
                )
                assert four == (three if two != three else one)
                assert (name in told) == (one != two != three)
        assert alone(then, of, B) == alone(now, of, B)

    keeps()
