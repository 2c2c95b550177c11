"""Conversions are taken back as far as nothing has come of them; the rest is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from commands.base import Command, On, handle
from commands.contact import GrantConsent, RenameContact
from commands.conversion import ConvertLead
from commands.customer import ChangeCustomerTier
from commands.deal import ChangeDealAmount
from commands.lead import CaptureLead, QualifyLead
from commands.subject import ForgetCustomer
from commands.ticket import OpenTicket
from commands.unconversion import UnconvertLead
from domain.contact import Contact, ContactLinked, ContactRetracted, ContactUnlinked
from domain.customer import Customer, CustomerRetracted
from domain.deal import Deal, DealRetracted
from domain.lead import (
    Lead,
    LeadConverted,
    LeadEmailTaken,
    LeadNotConverted,
    LeadUnconverted,
    LeadUnknown,
)
from domain.subject import SubjectForgotten
from domain.undo import Conflict
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.writer import Context, Receipt, Writer
from tests.doors import Client, a_node
from tests.examples import (
    BANT,
    CAPTURED,
    CONTACT,
    CREATED,
    CUSTOMER,
    DEFINED,
    LINKED,
    MET,
    OTHER,
    PIPELINE,
    QUALIFIED,
)
from tests.given import HERE, History, but, given, new_id

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from eventstore.workspace import Workspace

REASON = "Converted the wrong Ann Example"
UNDO = UnconvertLead(reason=REASON)
NEW_CUSTOMER, NEW_CONTACT, NEW_DEAL = new_id("customer"), new_id("contact"), new_id("deal")
TICKET = new_id("ticket")
SELL = ConvertLead(
    role="decision_maker", create_deal=True, pipeline_id=PIPELINE, amount="100", currency="EUR"
)


def converted(convert: ConvertLead = SELL, *before: On) -> History:
    """A qualified lead that was converted."""
    history = given(CAPTURED, QUALIFIED).and_on(PIPELINE, DEFINED).after(before)
    return history.after(history.when(convert).events)


def at(history: History, stream_id: UUID, command: Command) -> History:
    """What happened, and then a command to another record."""
    there = History(history.events, stream_id)
    decided = there.when(command)
    assert decided.refusal is None
    return History(there.after(decided.events).events, HERE)


def unconverted(*conflicts: tuple[str, object, str], to_status: str = "qualified"):
    return LeadUnconverted(
        to_status=to_status,
        reason=REASON,
        conflicts=tuple(Conflict(kind=k, id=i, field=f) for k, i, f in conflicts),
    )


def test_a_conversion_is_taken_back_with_all_it_made():
    history = converted()
    before = given(CAPTURED, QUALIFIED).load(Lead, HERE)
    after = (
        history.when(UNDO)
        .then(
            On(NEW_DEAL, DealRetracted(reason=REASON)),
            On(NEW_CONTACT, ContactUnlinked(customer_id=NEW_CUSTOMER, until=None)),
            On(NEW_CONTACT, ContactRetracted(reason=REASON)),
            On(NEW_CUSTOMER, CustomerRetracted(reason=REASON)),
            unconverted(),
        )
        .when(UNDO)
        .nothing()
    )
    lead = after.load(Lead, HERE)
    assert (lead.status, lead.conversion, list(lead.holds())) == (
        before.status,
        None,
        list(before.holds()),
    )
    for of, id in ((Customer, NEW_CUSTOMER), (Contact, NEW_CONTACT), (Deal, NEW_DEAL)):
        assert after.load(of, id) == of()


def test_a_lead_that_was_not_qualified_is_open_again():
    history = given(CAPTURED).and_on(PIPELINE, DEFINED)
    history = history.after(history.when(ConvertLead()).events)
    [*_, last] = history.when(UNDO).events
    assert last == unconverted(to_status="open")


def test_an_unconverted_lead_can_be_converted_again():
    history = converted()
    history = history.after(history.when(UNDO).events)
    assert history.when(QualifyLead(**BANT, evidence=QUALIFIED.evidence)).nothing()
    again = history.when(SELL)
    assert isinstance(again.events[-1], LeadConverted)


def test_what_was_there_before_the_conversion_stays():
    history = converted(ConvertLead(role="user"), On(CUSTOMER, CREATED), On(CONTACT, MET))
    history.when(UNDO).then(
        On(CONTACT, ContactUnlinked(customer_id=CUSTOMER, until=None)), unconverted()
    )
    linked = converted(ConvertLead(), On(CUSTOMER, CREATED), On(CONTACT, MET), On(CONTACT, LINKED))
    linked.when(UNDO).then(unconverted())


@pytest.mark.parametrize(
    ("stream_id", "command", "conflict", "kept"),
    [
        (
            NEW_DEAL,
            ChangeDealAmount(amount=7, currency="EUR"),
            ("deal", NEW_DEAL, "amount"),
            {NEW_DEAL, NEW_CONTACT, NEW_CUSTOMER},
        ),
        (
            NEW_CONTACT,
            RenameContact(name="Ann Sample"),
            ("contact", NEW_CONTACT, "name"),
            {NEW_CONTACT, NEW_CUSTOMER},
        ),
        (
            NEW_CONTACT,
            GrantConsent(**GrantConsent.example),
            ("contact", NEW_CONTACT, "consents"),
            {NEW_CONTACT, NEW_CUSTOMER},
        ),
        (
            NEW_CUSTOMER,
            ChangeCustomerTier(tier="premium"),
            ("customer", NEW_CUSTOMER, "tier"),
            {NEW_CUSTOMER},
        ),
        (
            TICKET,
            OpenTicket(title="Help", channel="web", contact_id=NEW_CONTACT),
            ("ticket", TICKET, "contact_id"),
            {NEW_CONTACT, NEW_CUSTOMER},
        ),
    ],
    ids=["deal", "contact", "consent", "customer", "ticket"],
)
def test_what_was_changed_or_referred_to_since_stays_with_all_it_refers_to(
    stream_id, command, conflict, kept
):
    history = at(converted(), stream_id, command)
    decided = history.when(UNDO)
    assert decided.events[-1] == unconverted(conflict)
    retracted = {
        item.stream_id
        for item in decided.events
        if isinstance(item, On) and ".retracted." in item.event.type
    }
    assert retracted == {NEW_DEAL, NEW_CONTACT, NEW_CUSTOMER} - kept


def test_a_child_company_keeps_its_parent():
    history = converted().and_on(OTHER, but(CREATED, name="Child", parent_id=NEW_CUSTOMER))
    assert history.when(UNDO).events[-1] == unconverted(("customer", OTHER, "parent_id"))


def test_the_role_that_was_changed_since_keeps_the_customer():
    history = converted(ConvertLead(role="user"), On(CONTACT, MET)).and_on(
        CONTACT, ContactLinked(customer_id=NEW_CUSTOMER, role="evaluator", since=None)
    )
    history.when(UNDO).then(unconverted(("contact", CONTACT, "role")))


def test_of_old_conversions_nothing_is_known_that_they_made():
    old = LeadConverted.lifts["lead.converted.v1"](
        {"customer_id": NEW_CUSTOMER, "contact_id": NEW_CONTACT, "deal_id": None}
    )
    history = (
        given(CAPTURED, QUALIFIED, LeadConverted.model_validate(old))
        .and_on(NEW_CUSTOMER, CREATED)
        .and_on(NEW_CONTACT, MET)
    )
    history.when(UNDO).then(unconverted())


def test_only_a_conversion_is_taken_back():
    given().when(UNDO).refused(LeadUnknown)
    given(CAPTURED).when(UNDO).refused(LeadNotConverted, status="open")


def test_an_address_that_another_lead_has_by_now_keeps_the_conversion():
    converted().and_on(OTHER, CAPTURED).when(UNDO).refused(LeadEmailTaken, lead_id=OTHER)


def test_a_hundred_at_once_take_a_conversion_back_once(workspace: Workspace):
    lead = uuid7()

    def ask(writer: Writer, command: Command) -> Receipt:
        return handle(writer, command, lead, Context(SYSTEM, uuid7())).result(30)

    with Writer(workspace.log) as writer:
        ask(writer, CaptureLead(**CaptureLead.example))
        ask(writer, ConvertLead())
        all_at_once = [handle(writer, UNDO, lead, Context(SYSTEM, uuid7())) for _ in range(100)]
        receipts = [promise.result(30) for promise in all_at_once]
    assert sorted(receipt.events for receipt in receipts) == [0] * 99 + [4]
    assert [receipt.conflicts for receipt in receipts if receipt.events] == [()]
    types = [recorded.event.type for recorded in workspace.log.read_stream(lead)]
    assert types == ["lead.captured.v1", "lead.converted.v2", "lead.unconverted.v1"]


def test_the_answer_lists_the_conflicts_and_so_do_the_tables(postgres_url: str, tmp_path: Path):
    with a_node(postgres_url, tmp_path) as node, Client(node, SYSTEM) as client:
        lead = client.post("/leads", CaptureLead.example).json()["id"]
        asked = {"min_position": client.post(f"/leads/{lead}/convert", {}).json()["position"]}
        shown = client.get(f"/leads/{lead}", params=asked).json()["item"]
        client.post(f"/customers/{shown['customer_id']}/change-tier", {"tier": "premium"})
        key = {"Idempotency-Key": "once"}
        first = client.post(f"/leads/{lead}/unconvert", {"reason": REASON}, headers=key)
        conflict = {"kind": "customer", "id": shown["customer_id"], "field": "tier"}
        assert first.json()["conflicts"] == [conflict]
        again = client.post(f"/leads/{lead}/unconvert", {"reason": REASON}, headers=key)
        assert again.json() == first.json()
        asked = {"min_position": first.json()["position"]}
        now = client.get(f"/leads/{lead}", params=asked).json()["item"]
        assert (now["status"], now["customer_id"], now["converted_at"]) == ("open", None, None)
        gone = client.get(f"/contacts/{shown['contact_id']}", params=asked)
        assert gone.status_code == 404
        with node.asking() as database:
            [told] = database.query("FROM undo").to_dicts()
        assert (told["kind"], json.loads(told["conflicts"])) == ("conversion", [conflict])


def test_with_what_an_unconverted_lead_had_become_the_lead_is_not_forgotten():
    history = at(converted(), NEW_CUSTOMER, ChangeCustomerTier(tier="premium"))
    history = history.after(history.when(UNDO).events)
    [on] = History(history.events, NEW_CUSTOMER).when(ForgetCustomer(reason=REASON)).events
    assert isinstance(on, On)
    assert isinstance(on.event, SubjectForgotten)
    assert HERE not in on.event.record_ids
