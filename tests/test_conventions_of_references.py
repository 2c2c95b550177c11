"""A command refers to records that exist: declared in the type of a field, checked in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID, uuid4

import pytest

from commands import COMMANDS
from commands.activity import PlanActivity
from commands.base import Command, handle
from commands.campaign import PlanCampaign, RetractCampaign
from commands.lead import AssignLead, CaptureLead
from domain.base import ReferenceUnknown, aggregate_of
from domain.lead import LeadAssigned
from domain.user import MODELS, SYSTEM, UserRetracted
from eventstore.envelope import uuid7
from eventstore.writer import Context, Writer
from tests.examples import CAPTURED, MOSES, PLANNED, RECORDS, at_work, knowing
from tests.given import ACTOR, given, new_id

if TYPE_CHECKING:
    from eventstore.promise import Promise
    from eventstore.workspace import Workspace

NO_REFERENCES = {
    "AddCampaignMember.member_id": "a lead or a contact: `member_type` says which",
    "RecordLeadConversion.made": "repeats references of the same command",
    "RemoveCampaignMember.member_id": "names a membership, which is looked up",
    "RecordCampaignTouch.member_id": "names a membership, which is looked up",
    "RetractCampaignMember.member_id": "names a membership, which is looked up",
    "UnlinkContact.customer_id": "names a role, which ends even if the customer was taken back",
}
"""Fields with an id that are no references, and why."""

UNKNOWN = new_id("nobody knows")
REFERRING = [
    pytest.param(command, field, id=f"{command.__name__}.{field}")
    for command in COMMANDS
    for field in command.referring
]


def test_every_id_in_a_command_is_a_reference_or_says_why_not():
    ids = {
        f"{command.__name__}.{name}"
        for command in COMMANDS
        for name, field in command.model_fields.items()
        if name not in command.referring
        and (name.endswith("_id") or UUID in {field.annotation, *get_args(field.annotation)})
    }
    assert ids == NO_REFERENCES.keys()


def asking(command: type[Command[Any]], **changes: Any) -> Command[Any]:
    """The example of a command, otherwise in some fields."""
    return command.model_validate(command.example | changes)


@pytest.mark.parametrize(("command", "field"), REFERRING)
def test_what_a_command_refers_to_exists(command, field):
    record = () if command.creates else (RECORDS[command.of],)
    wish, of = asking(command).model_copy(update={field: UNKNOWN}), command.referring[field]
    unknown = {"field": field, "id": UNKNOWN, "record": aggregate_of(of)}
    there = knowing(given(*record), wish)
    assert not isinstance(there.when(wish).refusal, ReferenceUnknown)
    another = next(event for kind, event in RECORDS.items() if kind is not of)
    for events in ((), (another,)):
        world = replace(there, events={**there.events, UNKNOWN: events})
        world.when(wish).refused(ReferenceUnknown, **unknown)


def test_the_refusal_names_the_field_and_the_id():
    said = given().when(PlanActivity(kind="call", title="Ask", lead_id=UNKNOWN)).refusal
    assert str(said) == f"lead_id names {UNKNOWN}, which is no lead."


def test_who_asks_and_the_fixed_users_were_never_registered():
    for user in (ACTOR, SYSTEM, MODELS):
        assigned = LeadAssigned(owner=user, previous_owner=None)
        given(CAPTURED).when(AssignLead(owner=user)).then(assigned)
    refused = given().when(CaptureLead(name="Ann", source="fair", campaign_id=ACTOR))
    refused.refused(ReferenceUnknown, field="campaign_id")


def test_a_wish_that_is_true_already_stays_so_when_what_it_names_is_taken_back():
    assigned = LeadAssigned(owner=MOSES, previous_owner=None)
    gone = UserRetracted(reason="Registered by mistake")
    world = given(CAPTURED, assigned).and_on(MOSES, at_work("moses"), gone)
    world.when(AssignLead(owner=MOSES)).nothing()
    lead = CAPTURED.model_copy(update={"campaign_id": UNKNOWN})
    capture = {name: getattr(lead, name) for name in CaptureLead.model_fields}
    given(lead).when(CaptureLead(**capture)).nothing()
    given(lead).and_on(UNKNOWN, PLANNED).when(CaptureLead(**capture)).nothing()


def ask(writer: Writer, command: Command[Any], stream: UUID) -> Promise:
    return handle(writer, command, stream, Context(actor=SYSTEM, correlation_id=uuid7()))


def test_what_another_process_took_back_is_referred_to_no_more(workspace: Workspace):
    campaign = uuid4()
    with Writer(workspace.log) as one, Writer(workspace.log) as other:
        for number in range(3):
            ask(one, asking(PlanCampaign), campaign).result()
            capture = asking(CaptureLead, email=f"{number}@example.com", campaign_id=campaign)
            assert ask(one, capture, uuid4()).result().events == 1
            ask(other, RetractCampaign(reason="A test"), campaign).result()
            stale = asking(CaptureLead, email="late@example.com", campaign_id=campaign)
            with pytest.raises(ReferenceUnknown, match=str(campaign)):
                ask(one, stale, uuid4()).result()
