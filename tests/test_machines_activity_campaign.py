"""The lives of activities and campaigns, held against tables written by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis.strategies import builds, just, sampled_from

from commands.activity import (
    AssignActivity,
    CancelActivity,
    CompleteActivity,
    LogActivity,
    PlanActivity,
    RescheduleActivity,
    StartActivity,
)
from commands.campaign import (
    AddCampaignMember,
    CompleteCampaign,
    PauseCampaign,
    PlanCampaign,
    RecordCampaignCost,
    RecordCampaignTouch,
    RemoveCampaignMember,
    ResumeCampaign,
    ScheduleCampaign,
    StartCampaign,
)
from domain.activity import Activity
from domain.campaign import (
    Campaign,
    CampaignCostRecorded,
    CampaignMember,
    CampaignMemberTouched,
    campaign_member_id,
)
from tests.examples import CAPTURED, GONE, LEFT, MOSES, VIOLET, at_work
from tests.given import History, given, new_id
from tests.machines import LifeCycle, explore

LEAD = new_id("lead")
MONDAY, FRIDAY = datetime(2026, 2, 2, 9, tzinfo=UTC), datetime(2026, 2, 6, 9, tzinfo=UTC)
REASONS = sampled_from(["not_needed", "other"])
OUTCOMES = sampled_from(["done", "no_answer"])


def an_activity_has_an_owner_who_is_here(history: History) -> None:
    activity = history.load(Activity, history.id)
    assert activity.owner not in (None, GONE)


ACTIVITY = LifeCycle(
    of=Activity,
    beginning=given()
    .and_on(LEAD, CAPTURED)
    .and_on(GONE, *LEFT)
    .and_on(MOSES, at_work("moses"))
    .and_on(VIOLET, at_work("violet")),
    commands={
        PlanActivity: builds(
            PlanActivity,
            kind=just("call"),
            title=just("Ask for the budget"),
            lead_id=just(LEAD),
            due=sampled_from([None, MONDAY]),
        ),
        LogActivity: builds(
            LogActivity,
            kind=just("call"),
            lead_id=just(LEAD),
            direction=just("inbound"),
            owner=sampled_from([MOSES, GONE]),
        ),
        AssignActivity: builds(AssignActivity, owner=sampled_from([MOSES, VIOLET, GONE])),
        RescheduleActivity: builds(RescheduleActivity, due=sampled_from([MONDAY, FRIDAY])),
        StartActivity: just(StartActivity()),
        CompleteActivity: builds(CompleteActivity, outcome=OUTCOMES),
        CancelActivity: builds(CancelActivity, reason=REASONS),
    },
    moves={
        "unknown": {PlanActivity: {"planned"}, LogActivity: {"completed"}},
        "planned": {
            AssignActivity: {"planned"},
            RescheduleActivity: {"planned"},
            StartActivity: {"started"},
            CompleteActivity: {"completed"},
            CancelActivity: {"cancelled"},
        },
        "started": {
            AssignActivity: {"started"},
            RescheduleActivity: {"started"},
            CompleteActivity: {"completed"},
            CancelActivity: {"cancelled"},
        },
        "completed": {},
        "cancelled": {},
    },
    invariant=an_activity_has_an_owner_who_is_here,
)


def the_books_of_a_campaign(history: History) -> None:
    campaign = history.load(Campaign, history.id)
    costs = [e for e in history.events[history.id] if isinstance(e, CampaignCostRecorded)]
    assert campaign.cost_total == sum(event.cost for event in costs)
    membership = campaign_member_id(history.id, LEAD)
    member = history.load(CampaignMember, membership)
    touches = [
        event
        for event in history.events.get(membership, ())
        if isinstance(event, CampaignMemberTouched)
    ]
    assert [touch.touch_number for touch in touches] == list(range(1, member.touches + 1))
    assert campaign.started or not touches
    kinds = [touch.kind for touch in touches]
    assert "sent" not in kinds[kinds.index("opted_out") :] if "opted_out" in kinds else True


def stays(status, *more):
    """A row of the table: what may be done here and leaves the campaign in its status."""
    members = (AddCampaignMember, RemoveCampaignMember, RecordCampaignCost)
    return {command: {status} for command in (*members, *more)}


CAMPAIGN = LifeCycle(
    of=Campaign,
    beginning=given().and_on(LEAD, CAPTURED),
    commands={
        PlanCampaign: just(PlanCampaign(name="Spring", channel="email")),
        ScheduleCampaign: builds(ScheduleCampaign, start_at=sampled_from([MONDAY, FRIDAY])),
        StartCampaign: just(StartCampaign()),
        PauseCampaign: builds(PauseCampaign, reason=sampled_from([None, "Page down"])),
        ResumeCampaign: just(ResumeCampaign()),
        CompleteCampaign: just(CompleteCampaign()),
        RecordCampaignCost: builds(RecordCampaignCost, cost=sampled_from(["0.10", "750.00"])),
        AddCampaignMember: just(AddCampaignMember(member_id=LEAD, member_type="lead")),
        RemoveCampaignMember: just(RemoveCampaignMember(member_id=LEAD)),
        RecordCampaignTouch: builds(
            RecordCampaignTouch,
            member_id=just(LEAD),
            kind=sampled_from(["sent", "sent", "clicked", "clicked", "opted_out"]),
        ),
    },
    moves={
        "unknown": {PlanCampaign: {"planned"}},
        "planned": stays("planned") | {ScheduleCampaign: {"scheduled"}, StartCampaign: {"running"}},
        "scheduled": stays("scheduled", ScheduleCampaign) | {StartCampaign: {"running"}},
        "running": stays("running", RecordCampaignTouch)
        | {PauseCampaign: {"paused"}, CompleteCampaign: {"completed"}},
        "paused": stays("paused", RecordCampaignTouch)
        | {ResumeCampaign: {"running"}, CompleteCampaign: {"completed"}},
        "completed": {
            RecordCampaignCost: {"completed"},
            RemoveCampaignMember: {"completed"},
            RecordCampaignTouch: {"completed"},
        },
    },
    repeatable={RecordCampaignCost, RecordCampaignTouch},
    invariant=the_books_of_a_campaign,
)


def test_an_activity_lives_by_the_table():
    explore(ACTIVITY, examples=400, steps=15)


def test_a_campaign_lives_by_the_table():
    explore(CAMPAIGN)
