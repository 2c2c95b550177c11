"""What was sent to a person, and the consent there was at that moment."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from commands.activity import LogActivity
from commands.base import Command, handle
from commands.campaign import AddCampaignMember, PlanCampaign, RecordCampaignTouch, StartCampaign
from commands.contact import CreateContact, GrantConsent, WithdrawConsent
from domain.base import fold
from domain.contact import Contact, ContactConsentGranted
from eventstore.envelope import uuid7
from eventstore.writer import Context, Writer
from readmodels.contact import contact_sendings
from readmodels.query import Moment, page
from replay.tables import catch_up, open_tables

if TYPE_CHECKING:
    from eventstore.workspace import Workspace

BOSS, ANN, CAMPAIGN = (UUID(int=0xC0 + number) for number in range(3))

ASK: dict[str, Any] = {
    "contact_id": ANN,
    "owner": BOSS,
    "direction": "outbound",
    "outcome": "reached",
}
STORY: tuple[tuple[UUID, Command[Any], int], ...] = (
    (ANN, CreateContact(name="Ann"), 1),
    (CAMPAIGN, PlanCampaign(name="News", channel="email", currency="EUR"), 1),
    (CAMPAIGN, StartCampaign(), 1),
    (CAMPAIGN, AddCampaignMember(member_id=ANN, member_type="contact"), 1),
    (CAMPAIGN, RecordCampaignTouch(member_id=ANN, kind="sent"), 2),
    (ANN, GrantConsent(channel="email", purpose="marketing", source="Form", proof="No. 1"), 3),
    (CAMPAIGN, RecordCampaignTouch(member_id=ANN, kind="sent"), 4),
    (uuid7(), LogActivity(kind="call", **ASK), 5),
    (ANN, WithdrawConsent(channel="email", source="Letter"), 6),
    (uuid7(), LogActivity(kind="email", **ASK), 7),
    (ANN, GrantConsent(channel="email", purpose="invoices", source="Form"), 8),
    (uuid7(), LogActivity(kind="email", **ASK), 9),
    (ANN, GrantConsent(channel="phone", source="Told late"), 9),
)
"""The last was recorded after the call, so nobody knew of it then."""


def test_each_sending_is_told_with_the_consent_of_its_moment(workspace: Workspace):
    with Writer(workspace.log) as writer:
        for stream, command, day in STORY:
            at = datetime(2026, 3, day, 12, tzinfo=UTC)
            context = Context(BOSS, uuid7(), occurred_at=at)
            handle(writer, command, stream, context).result(30)
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
        moment = Moment(None, tables.position)
        asked = {"id": ANN, "channel": None, "by_what": None}
        told = page(tables.database, contact_sendings, moment, asked, limit=100).items
    assert [
        (one["by_what"], one["channel"], one["consented"], one["consent_source"]) for one in told
    ] == [
        ("campaign", "email", False, None),
        ("campaign", "email", True, "Form"),
        ("call", "phone", False, None),
        ("email", "email", False, "Letter"),
        ("email", "email", False, "Letter"),
    ]
    granted = told[1]
    assert granted["consent_proof"] == "No. 1"
    [event] = workspace.log.read(granted["consent_position"] - 1, limit=1)
    assert isinstance(event.event, ContactConsentGranted)
    contact = fold(Contact(), (recorded.event for recorded in workspace.log.read_stream(ANN)))
    assert set(contact.consents) == {
        ("email", "marketing"),
        ("email", "any"),
        ("email", "invoices"),
        ("phone", "any"),
    }


def test_consent_from_before_purposes_was_for_any():
    lift = ContactConsentGranted.lifts["contact.consent_granted.v1"]
    lifted = ContactConsentGranted(**lift({"channel": "email", "source": "Form"}))
    assert (lifted.purpose, lifted.proof) == ("any", None)
