"""Records that should never have been are taken back: nothing of them is left but their history."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from commands.activity import LogActivity, RetractActivity
from commands.base import Command, handle
from commands.campaign import (
    AddCampaignMember,
    PlanCampaign,
    RecordCampaignTouch,
    RetractCampaign,
    RetractCampaignMember,
    StartCampaign,
)
from commands.contact import CreateContact, GrantConsent, RetractContact
from commands.customer import CreateCustomer, RetractCustomer
from commands.deal import AssignDeal, OpenDeal, RetractDeal, WinDeal
from commands.lead import CaptureLead, EngageLead, QualifyLead, RetractLead
from commands.pipeline import DefinePipeline, RetractPipeline
from commands.ticket import OpenTicket, RetractTicket
from commands.user import RegisterUser, RetractUser
from domain.base import State
from domain.campaign import CampaignMember, campaign_member_id
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.writer import Context, Writer
from projections import DIMENSIONS, FACTS
from readmodels.base import Database
from replay.tables import catch_up, open_tables
from tests.given import given

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.workspace import Workspace

REASON = "Imported by mistake"
CUSTOMER, CONTACT, PIPELINE, DEAL, LEAD, TICKET, CAMPAIGN, USER, CALL = (
    UUID(int=number, version=4) for number in range(100, 109)
)
OPENED = {"name": "Acme: 40 seats", "customer_id": CUSTOMER, "pipeline_id": PIPELINE}
STORY: tuple[tuple[UUID, Command[Any]], ...] = (
    (USER, RegisterUser(**RegisterUser.example)),
    (CUSTOMER, CreateCustomer(**CreateCustomer.example)),
    (CONTACT, CreateContact(**CreateContact.example | {"customer_id": CUSTOMER})),
    (CONTACT, GrantConsent(**GrantConsent.example)),
    (PIPELINE, DefinePipeline(**DefinePipeline.example)),
    (DEAL, OpenDeal(**OPENED, amount="100", currency="EUR")),
    (DEAL, AssignDeal(owner=USER)),
    (DEAL, WinDeal()),
    (LEAD, CaptureLead(**CaptureLead.example)),
    (LEAD, EngageLead(**EngageLead.example)),
    (LEAD, QualifyLead(**QualifyLead.example)),
    (TICKET, OpenTicket(**OpenTicket.example | {"customer_id": CUSTOMER})),
    (CALL, LogActivity(kind="call", lead_id=LEAD, direction="inbound")),
    (CAMPAIGN, PlanCampaign(**PlanCampaign.example)),
    (CAMPAIGN, StartCampaign()),
    (CAMPAIGN, AddCampaignMember(member_id=LEAD, member_type="lead")),
    (CAMPAIGN, RecordCampaignTouch(member_id=LEAD, kind="clicked", cost="2.50")),
)
RETRACTIONS: tuple[tuple[UUID, Command[Any]], ...] = (
    (CAMPAIGN, RetractCampaignMember(member_id=LEAD, reason=REASON)),
    (CAMPAIGN, RetractCampaign(reason=REASON)),
    (CALL, RetractActivity(reason=REASON)),
    (TICKET, RetractTicket(reason=REASON)),
    (LEAD, RetractLead(reason=REASON)),
    (DEAL, RetractDeal(reason=REASON)),
    (PIPELINE, RetractPipeline(reason=REASON)),
    (CONTACT, RetractContact(reason=REASON)),
    (CUSTOMER, RetractCustomer(reason=REASON)),
    (USER, RetractUser(reason=REASON)),
)


UNTOLD = set(
    "tier_change amount_change close_date_change campaign_cost ticket_reply ticket_note "
    "ticket_rating score_change score_outcome import_run legal_hold subject undo merger "
    "retention_rule".split()
)
"""Tables that the story says nothing of."""


@contextmanager
def followed(workspace: Workspace, folder: Path) -> Iterator[Database]:
    """The tables of all that the log holds."""
    tables = open_tables(workspace, folder / "followed")
    catch_up(tables, workspace.log, workspace.log.last_position())
    yield tables.database
    tables.close()


def tell(workspace: Workspace, *story: tuple[UUID, Command[Any]]) -> None:
    with Writer(workspace.log) as writer:
        for stream_id, command in story:
            handle(writer, command, stream_id, Context(SYSTEM, uuid7())).result(10)


@pytest.mark.parametrize(
    ("stream_id", "command"), RETRACTIONS[1:], ids=[type(c).__name__ for _, c in RETRACTIONS[1:]]
)
def test_what_was_taken_back_is_as_if_it_had_never_been(stream_id, command):
    history = given()
    for where, told in STORY:
        at = type(history)({**history.events}, where, history.actor)
        history = at.after(at.when(told, by=USER).events)
    at = type(history)({**history.events}, stream_id, history.actor)
    after = at.after(at.when(command).events)
    assert after.load(command.of, stream_id) == command.of()
    assert stream_id not in after.holders.values()
    again = after.when(command)
    assert type(again.refusal).__name__.endswith("Unknown")


def test_a_membership_that_was_taken_back_has_no_touches(workspace):
    tell(workspace, *STORY, RETRACTIONS[0])
    member: State[Any] = CampaignMember()
    for recorded in workspace.log.read_stream(campaign_member_id(CAMPAIGN, LEAD)):
        member = member.evolve(recorded.event)
    assert member == CampaignMember()


def test_no_table_but_the_histories_has_what_was_taken_back(workspace, tmp_path):
    tell(workspace, *STORY)
    head = workspace.log.last_position()
    tell(workspace, *RETRACTIONS)
    with followed(workspace, tmp_path) as database:
        assert isinstance(database, Database)
        names: set[str] = {each.name for each in (*DIMENSIONS, *FACTS)}  # type: ignore[attr-defined]
        kept = {"custom_field", "clock", "score", "contact_role", "contact_consent", "retraction"}
        for name in names - kept:
            assert database.query(f'FROM "{name}"').height == 0, name
            was = database.query(f'FROM "{name}_at"(known_at := {head})').height
            assert was or name in UNTOLD, name
        assert database.query("FROM contact_role WHERE status = 'current'").height == 0
        assert database.query("FROM contact_consent WHERE status = 'granted'").height == 0
        assert database.query("FROM retraction").height == len(RETRACTIONS)
        assert database.query("FROM lead_history").height == 4
        movements = database.query("FROM pipeline_movements()")["movement"].to_list()
        assert movements == ["new", "won"]
        won = database.query("FROM pipeline_waterfall()")
        assert won["residual"].to_list() == [0]


def test_an_open_deal_that_was_taken_back_leaves_the_pipeline(workspace, tmp_path):
    tell(workspace, *STORY[:-1][:7], (DEAL, RetractDeal(reason=REASON)))
    with followed(workspace, tmp_path) as database:
        [row] = database.query("FROM pipeline_waterfall()").to_dicts()
        assert (row["new"], row["retracted"], row["closing"], row["residual"]) == (100, -100, 0, 0)


def test_what_was_taken_back_can_be_recorded_again(workspace, tmp_path):
    tell(workspace, *STORY, *RETRACTIONS, *STORY)
    with followed(workspace, tmp_path) as database:
        [row] = database.query("FROM lead").to_dicts()
        assert (row["status"], row["engagements"], row["owner"]) == ("qualified", 1, None)
        assert database.query("FROM engagement").height == 1
        assert database.query("FROM deal").to_dicts()[0]["status"] == "won"
        assert database.query("FROM touch").height == 1
