"""Campaigns are planned, run and paid for; leads and contacts join them and are touched."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from commands.base import On
from commands.campaign import (
    AddCampaignMember,
    CompleteCampaign,
    PauseCampaign,
    PlanCampaign,
    RecordCampaignCost,
    RecordCampaignTouch,
    RemoveCampaignMember,
    ResumeCampaign,
    RetractCampaignMember,
    ScheduleCampaign,
    StartCampaign,
)
from domain.base import ReferenceUnknown
from domain.campaign import (
    COST_MAX,
    CampaignAlreadyPlanned,
    CampaignAlreadyStarted,
    CampaignCompleted,
    CampaignCostRecorded,
    CampaignCostTooHigh,
    CampaignEndsTooSoon,
    CampaignMemberAdded,
    CampaignMemberMissing,
    CampaignMemberOptedOut,
    CampaignMemberRemoved,
    CampaignMemberTouched,
    CampaignNotPaused,
    CampaignNotRunning,
    CampaignNotStarted,
    CampaignOver,
    CampaignPaused,
    CampaignPlanned,
    CampaignResumed,
    CampaignScheduled,
    CampaignStarted,
    CampaignUnknown,
    campaign_member_id,
)
from domain.contact import ContactCreated
from domain.lead import LeadCaptured
from tests.given import HERE, given, new_id

LEAD, CONTACT = new_id("lead"), new_id("contact")
SPRING = {
    "name": "Spring webinar", "channel": "event", "objective": "Forty talks",
    "budget": Decimal("5000.00"), "currency": "EUR",
    "starts_on": date(2026, 3, 1), "ends_on": date(2026, 3, 31),
}  # fmt: skip
EIGHT, NINE = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 1, 9, tzinfo=UTC)
PLANNED, SCHEDULED = CampaignPlanned(**SPRING), CampaignScheduled(start_at=EIGHT)
STARTED, RESUMED, COMPLETED = CampaignStarted(), CampaignResumed(), CampaignCompleted()
PAUSED = CampaignPaused(reason="The landing page is down")
WAITING, AT_EIGHT = (PLANNED,), (PLANNED, SCHEDULED)
RUNNING = (PLANNED, STARTED)
RESTING = (*RUNNING, PAUSED)
OVER = (*RUNNING, COMPLETED)
CAPTURED = LeadCaptured(
    name="Ann", email=None, phone=None, email_kind="none", has_phone=False, company=None,
    title=None, country=None, source="website", campaign_id=None, custom={}, custom_personal={},
)  # fmt: skip
CREATED = ContactCreated(
    person_id=CONTACT, name="Bob", email=None, phone=None, email_kind="none", has_phone=False,
    title=None, title_level="other", lead_id=None, custom={}, custom_personal={},
)  # fmt: skip
ANN = {"campaign_id": HERE, "member_id": LEAD, "member_type": "lead"}
MEMBERSHIP = campaign_member_id(HERE, LEAD)
ADDED, REMOVED = CampaignMemberAdded(**ANN), CampaignMemberRemoved(**ANN)


def touched(kind, number=1, cost=None):
    return CampaignMemberTouched(**ANN, kind=kind, touch_number=number, cost=cost, currency="EUR")


def spent(cost, total, purpose=None):
    return CampaignCostRecorded(cost=cost, cost_total=total, currency="EUR", purpose=purpose)


def test_a_campaign_is_planned():
    given().when(PlanCampaign(**SPRING)).then(PLANNED)


@pytest.mark.parametrize("history", [WAITING, RUNNING, OVER])
def test_a_campaign_is_planned_once(history):
    given(*history).when(PlanCampaign(**SPRING)).nothing()


def test_a_campaign_is_not_planned_again_with_other_values():
    wish = PlanCampaign(**SPRING | {"name": "Summer webinar"})
    given(PLANNED).when(wish).refused(CampaignAlreadyPlanned)


def test_a_campaign_does_not_end_before_it_starts():
    wish = PlanCampaign(**SPRING | {"ends_on": date(2026, 2, 28)})
    dates = {"starts_on": date(2026, 3, 1), "ends_on": date(2026, 2, 28)}
    given().when(wish).refused(CampaignEndsTooSoon, **dates)


def test_a_campaign_may_last_a_day_or_have_no_dates():
    day = SPRING | {"ends_on": SPRING["starts_on"]}
    given().when(PlanCampaign(**day)).then(CampaignPlanned(**day))
    open_end = SPRING | {"starts_on": None, "ends_on": None}
    given().when(PlanCampaign(**open_end)).then(CampaignPlanned(**open_end))


def test_a_budget_is_not_negative():
    with pytest.raises(ValidationError):
        PlanCampaign(**SPRING | {"budget": "-1"})


def test_a_campaign_is_scheduled():
    given(PLANNED).when(ScheduleCampaign(start_at=EIGHT)).then(SCHEDULED)


def test_a_campaign_is_scheduled_for_another_time():
    later = CampaignScheduled(start_at=NINE)
    given(*AT_EIGHT).when(ScheduleCampaign(start_at=NINE)).then(later)


def test_a_campaign_is_scheduled_once():
    given(*AT_EIGHT).when(ScheduleCampaign(start_at=EIGHT)).nothing()


@pytest.mark.parametrize(
    ("history", "status"), [(RUNNING, "running"), (RESTING, "paused"), (OVER, "completed")]
)
def test_a_campaign_that_started_is_not_scheduled(history, status):
    wish = ScheduleCampaign(start_at=EIGHT)
    given(*history).when(wish).refused(CampaignAlreadyStarted, status=status)


@pytest.mark.parametrize("history", [WAITING, AT_EIGHT])
def test_a_campaign_starts(history):
    given(*history).when(StartCampaign()).then(STARTED)


def test_a_campaign_that_runs_is_not_started():
    given(*RUNNING).when(StartCampaign()).nothing()


@pytest.mark.parametrize(("history", "status"), [(RESTING, "paused"), (OVER, "completed")])
def test_a_campaign_starts_once(history, status):
    given(*history).when(StartCampaign()).refused(CampaignAlreadyStarted, status=status)


def test_a_campaign_is_paused():
    given(*RUNNING).when(PauseCampaign(reason=PAUSED.reason)).then(PAUSED)


def test_a_campaign_is_paused_once():
    given(*RESTING).when(PauseCampaign(reason=PAUSED.reason)).nothing()


@pytest.mark.parametrize(
    ("history", "status"),
    [
        (WAITING, "planned"),
        (AT_EIGHT, "scheduled"),
        (RESTING, "paused"),
        (OVER, "completed"),
    ],
)
def test_only_a_running_campaign_is_paused(history, status):
    given(*history).when(PauseCampaign()).refused(CampaignNotRunning, status=status)


def test_a_paused_campaign_goes_on():
    given(*RESTING).when(ResumeCampaign()).then(RESUMED)


def test_a_campaign_that_runs_goes_on_anyway():
    given(*RESTING, RESUMED).when(ResumeCampaign()).nothing()


def test_a_campaign_can_be_paused_again_for_the_same_reason():
    given(*RESTING, RESUMED).when(PauseCampaign(reason=PAUSED.reason)).then(PAUSED)


@pytest.mark.parametrize(
    ("history", "status"), [(WAITING, "planned"), (AT_EIGHT, "scheduled"), (OVER, "completed")]
)
def test_only_a_paused_campaign_goes_on(history, status):
    given(*history).when(ResumeCampaign()).refused(CampaignNotPaused, status=status)


@pytest.mark.parametrize("history", [RUNNING, RESTING])
def test_a_campaign_comes_to_its_end(history):
    given(*history).when(CompleteCampaign()).then(COMPLETED)


def test_a_campaign_comes_to_its_end_once():
    given(*OVER).when(CompleteCampaign()).nothing()


@pytest.mark.parametrize(("history", "status"), [(WAITING, "planned"), (AT_EIGHT, "scheduled")])
def test_a_campaign_that_never_ran_has_no_end(history, status):
    given(*history).when(CompleteCampaign()).refused(CampaignNotRunning, status=status)


@pytest.mark.parametrize("history", [WAITING, RUNNING, OVER])
def test_costs_add_up(history):
    first, second = Decimal("750.00"), Decimal("0.10")
    paid = given(*history).when(RecordCampaignCost(cost=first, purpose="Venue"))
    more = paid.then(spent(first, first, "Venue")).when(RecordCampaignCost(cost=second))
    more.then(spent(second, Decimal("750.10")))


def test_costs_do_not_outgrow_what_can_be_recorded():
    rich = given(*RUNNING, spent(COST_MAX, COST_MAX))
    wish = RecordCampaignCost(cost=Decimal("0.01"))
    rich.when(wish).refused(CampaignCostTooHigh, limit=COST_MAX)


@pytest.mark.parametrize("history", [WAITING, RUNNING, RESTING])
def test_a_lead_joins(history):
    world = given(*history).and_on(LEAD, CAPTURED)
    wish = AddCampaignMember(member_id=LEAD, member_type="lead")
    world.when(wish).then(On(MEMBERSHIP, ADDED))


def test_a_contact_joins():
    world = given(PLANNED).and_on(CONTACT, CREATED)
    bob = {"member_id": CONTACT, "member_type": "contact"}
    joined = CampaignMemberAdded(campaign_id=HERE, **bob)
    world.when(AddCampaignMember(**bob)).then(On(campaign_member_id(HERE, CONTACT), joined))


@pytest.mark.parametrize("history", [WAITING, OVER])
def test_a_member_joins_once(history):
    world = given(*history).and_on(LEAD, CAPTURED).and_on(MEMBERSHIP, ADDED)
    world.when(AddCampaignMember(member_id=LEAD, member_type="lead")).nothing()


def test_somebody_who_was_removed_joins_again():
    world = given(PLANNED).and_on(LEAD, CAPTURED).and_on(MEMBERSHIP, ADDED, REMOVED)
    wish = AddCampaignMember(member_id=LEAD, member_type="lead")
    world.when(wish).then(On(MEMBERSHIP, ADDED))


@pytest.mark.parametrize("member_type", ["lead", "contact"])
def test_members_are_known(member_type):
    wish = AddCampaignMember(member_id=LEAD, member_type=member_type)
    given(PLANNED).when(wish).refused(ReferenceUnknown, field="member_id", record=member_type)


def test_nobody_joins_a_campaign_that_is_over():
    world = given(*OVER).and_on(LEAD, CAPTURED)
    world.when(AddCampaignMember(member_id=LEAD, member_type="lead")).refused(CampaignOver)


@pytest.mark.parametrize("history", [WAITING, RUNNING, OVER])
def test_a_member_is_removed(history):
    world = given(*history).and_on(MEMBERSHIP, ADDED)
    world.when(RemoveCampaignMember(member_id=LEAD)).then(On(MEMBERSHIP, REMOVED))


def test_a_member_is_removed_once():
    world = given(PLANNED).and_on(MEMBERSHIP, ADDED, REMOVED)
    world.when(RemoveCampaignMember(member_id=LEAD)).nothing()


def test_only_members_are_removed():
    retract = RetractCampaignMember(member_id=LEAD, reason="By mistake")
    for wish in (RemoveCampaignMember(member_id=LEAD), retract):
        given(PLANNED).when(wish).refused(CampaignMemberMissing, member_id=LEAD)


def test_a_member_is_touched_again_and_again():
    world = given(*RUNNING).and_on(MEMBERSHIP, ADDED)
    sent = RecordCampaignTouch(member_id=LEAD, kind="sent", cost="0.05")
    after = world.when(sent).then(On(MEMBERSHIP, touched("sent", 1, Decimal("0.05"))))
    after = after.when(sent).then(On(MEMBERSHIP, touched("sent", 2, Decimal("0.05"))))
    clicked = RecordCampaignTouch(member_id=LEAD, kind="clicked")
    after.when(clicked).then(On(MEMBERSHIP, touched("clicked", 3)))


@pytest.mark.parametrize("history", [RESTING, OVER])
@pytest.mark.parametrize(
    "kind", ["opened", "clicked", "replied", "converted", "bounced", "opted_out"]
)
def test_members_react_late(history, kind):
    world = given(*history).and_on(MEMBERSHIP, ADDED)
    wish = RecordCampaignTouch(member_id=LEAD, kind=kind)
    world.when(wish).then(On(MEMBERSHIP, touched(kind)))


@pytest.mark.parametrize(("history", "status"), [(RESTING, "paused"), (OVER, "completed")])
def test_only_a_running_campaign_sends(history, status):
    world = given(*history).and_on(MEMBERSHIP, ADDED)
    wish = RecordCampaignTouch(member_id=LEAD, kind="sent")
    world.when(wish).refused(CampaignNotRunning, status=status)


@pytest.mark.parametrize(("history", "status"), [(WAITING, "planned"), (AT_EIGHT, "scheduled")])
def test_nobody_is_touched_by_a_campaign_that_has_not_started(history, status):
    world = given(*history).and_on(MEMBERSHIP, ADDED)
    wish = RecordCampaignTouch(member_id=LEAD, kind="opened")
    world.when(wish).refused(CampaignNotStarted, status=status)


@pytest.mark.parametrize("membership", [(), (ADDED, REMOVED)])
def test_only_members_are_touched(membership):
    world = given(*RUNNING).and_on(MEMBERSHIP, *membership)
    wish = RecordCampaignTouch(member_id=LEAD, kind="sent")
    world.when(wish).refused(CampaignMemberMissing, member_id=LEAD)


def test_nothing_is_sent_to_somebody_who_opted_out():
    world = given(*RUNNING).and_on(MEMBERSHIP, ADDED, touched("opted_out"))
    wish = RecordCampaignTouch(member_id=LEAD, kind="sent")
    world.when(wish).refused(CampaignMemberOptedOut, member_id=LEAD)


def test_somebody_who_opted_out_and_joins_again_still_gets_nothing():
    world = given(*RUNNING).and_on(MEMBERSHIP, ADDED, touched("opted_out"), REMOVED, ADDED)
    wish = RecordCampaignTouch(member_id=LEAD, kind="sent")
    world.when(wish).refused(CampaignMemberOptedOut)


def test_a_membership_belongs_to_one_campaign():
    assert campaign_member_id(HERE, LEAD) == MEMBERSHIP
    assert len({MEMBERSHIP, campaign_member_id(LEAD, HERE), campaign_member_id(HERE, CONTACT)}) == 3


@pytest.mark.parametrize(
    "wish",
    [
        ScheduleCampaign(start_at=EIGHT),
        StartCampaign(),
        PauseCampaign(),
        ResumeCampaign(),
        CompleteCampaign(),
        RecordCampaignCost(cost="1"),
        AddCampaignMember(member_id=LEAD, member_type="lead"),
        RemoveCampaignMember(member_id=LEAD),
        RecordCampaignTouch(member_id=LEAD, kind="sent"),
    ],
    ids=lambda wish: type(wish).__name__,
)
def test_nothing_is_asked_of_an_unknown_campaign(wish):
    given().when(wish).refused(CampaignUnknown)
