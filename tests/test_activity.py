"""Activities are planned, moved, begun, done or given up; or they are logged as they happened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from commands.activity import (
    AssignActivity,
    CancelActivity,
    CompleteActivity,
    LogActivity,
    PlanActivity,
    RescheduleActivity,
    StartActivity,
)
from domain.activity import (
    Activity,
    ActivityAboutNothing,
    ActivityAlreadyRecorded,
    ActivityAssigned,
    ActivityCancelled,
    ActivityCompleted,
    ActivityFinished,
    ActivityLogged,
    ActivityPlanned,
    ActivityRescheduled,
    ActivityStarted,
    ActivityUnknown,
)
from domain.base import HIDDEN, ReferenceUnknown, fold
from domain.lead import LeadCaptured
from domain.user import UserDeactivated, UserInactive, UserRegistered
from tests.given import ACTOR, HERE, given, new_id

LEAD, OTHER, BOB = new_id("lead"), new_id("other"), new_id("bob")
MONDAY, FRIDAY = datetime(2026, 2, 2, 9, tzinfo=UTC), datetime(2026, 2, 6, 9, tzinfo=UTC)
CAPTURED = LeadCaptured(
    name="Ann", email=None, phone=None, email_kind="none", has_phone=False, company=None,
    title=None, country=None, source="website", campaign_id=None, custom={}, custom_personal={},
)  # fmt: skip
NOBODY = dict.fromkeys(("customer_id", "contact_id", "lead_id", "deal_id", "ticket_id"))
CALL = {"kind": "call", "title": "Ask for the budget", "lead_id": LEAD}
PLAN = NOBODY | CALL | {"owner": ACTOR, "due": MONDAY, "priority": "high"}
LOG = NOBODY | CALL | {
    "owner": ACTOR, "direction": "inbound", "outcome": "reached", "duration_minutes": 12,
    "note": "Has money.",
}  # fmt: skip
PLANNED, LOGGED, STARTED = ActivityPlanned(**PLAN), ActivityLogged(**LOG), ActivityStarted()
DONE = {"outcome": "reached", "duration_minutes": 15, "note": "Will order."}
COMPLETED = ActivityCompleted(**DONE)
GIVEN_UP = {"reason": "not_needed", "note": "Ordered already."}
CANCELLED = ActivityCancelled(**GIVEN_UP)
BOB_REGISTERED = UserRegistered(name="Bob", email=None, handle="bob", team="West", manager_id=None)


def test_a_call_is_planned():
    given().and_on(LEAD, CAPTURED).when(PlanActivity(**PLAN)).then(PLANNED)


def test_what_is_planned_is_for_the_one_who_plans_it_unless_said_otherwise():
    planned = ActivityPlanned(**PLAN | {"owner": ACTOR, "due": None, "priority": "normal"})
    given().and_on(LEAD, CAPTURED).when(PlanActivity(**CALL)).then(planned)


def test_an_activity_is_planned_once():
    given(PLANNED).and_on(LEAD, CAPTURED).when(PlanActivity(**PLAN)).nothing()


def test_an_activity_is_not_planned_again_with_other_values():
    wish = PlanActivity(**PLAN | {"priority": "low"})
    given(PLANNED).and_on(LEAD, CAPTURED).when(wish).refused(ActivityAlreadyRecorded)


def test_a_call_that_happened_is_logged():
    given().and_on(LEAD, CAPTURED).when(LogActivity(**LOG)).then(LOGGED)


def test_a_log_entry_needs_no_title_no_duration_and_no_note():
    wish = LogActivity(kind="email", lead_id=LEAD, direction="outbound")
    logged = ActivityLogged(
        **NOBODY | {"lead_id": LEAD}, kind="email", title=None, owner=ACTOR,
        direction="outbound", outcome="done", duration_minutes=None, note="",
    )  # fmt: skip
    given().and_on(LEAD, CAPTURED).when(wish).then(logged)


def test_an_activity_is_logged_once():
    given(LOGGED).and_on(LEAD, CAPTURED).when(LogActivity(**LOG)).nothing()


def test_an_activity_is_not_logged_again_with_other_values():
    wish = LogActivity(**LOG | {"note": "Has no money."})
    given(LOGGED).and_on(LEAD, CAPTURED).when(wish).refused(ActivityAlreadyRecorded)


def test_what_was_planned_is_completed_and_not_logged():
    given(PLANNED).and_on(LEAD, CAPTURED).when(LogActivity(**LOG)).refused(ActivityAlreadyRecorded)
    given(LOGGED).and_on(LEAD, CAPTURED).when(PlanActivity(**PLAN)).refused(ActivityAlreadyRecorded)


@pytest.mark.parametrize("wish", [PlanActivity(**PLAN | NOBODY), LogActivity(**LOG | NOBODY)])
def test_an_activity_is_about_somebody_or_something(wish):
    given().when(wish).refused(ActivityAboutNothing)


@pytest.mark.parametrize("record", ["customer", "contact", "lead", "deal", "ticket"])
def test_an_activity_is_about_what_exists(record):
    unknown = {"field": f"{record}_id", "id": OTHER, "record": record}
    about = NOBODY | {f"{record}_id": OTHER}
    given().when(PlanActivity(**PLAN | about)).refused(ReferenceUnknown, **unknown)
    given().when(LogActivity(**LOG | about)).refused(ReferenceUnknown, **unknown)


@pytest.mark.parametrize("wish", [PlanActivity(**PLAN), LogActivity(**LOG)])
def test_somebody_who_left_does_nothing_more(wish):
    world = given().and_on(LEAD, CAPTURED).and_on(ACTOR, BOB_REGISTERED, UserDeactivated())
    world.when(wish).refused(UserInactive, user_id=ACTOR)


@pytest.mark.parametrize("begun", [(PLANNED,), (PLANNED, STARTED)])
def test_an_activity_goes_to_another_user(begun):
    assigned = ActivityAssigned(owner=BOB, previous_owner=ACTOR)
    given(*begun).and_on(BOB, BOB_REGISTERED).when(AssignActivity(owner=BOB)).then(assigned)


@pytest.mark.parametrize("history", [(PLANNED,), (LOGGED,), (PLANNED, COMPLETED)])
def test_an_activity_stays_with_its_owner(history):
    given(*history).when(AssignActivity(owner=ACTOR)).nothing()


def test_an_activity_does_not_go_to_somebody_who_left():
    world = given(PLANNED).and_on(BOB, BOB_REGISTERED, UserDeactivated())
    world.when(AssignActivity(owner=BOB)).refused(UserInactive, user_id=BOB)


@pytest.mark.parametrize("begun", [(PLANNED,), (PLANNED, STARTED)])
def test_an_activity_is_moved(begun):
    moved = ActivityRescheduled(due=FRIDAY, previous_due=MONDAY)
    given(*begun).when(RescheduleActivity(due=FRIDAY)).then(moved)


def test_an_activity_without_a_time_gets_one():
    undated = ActivityPlanned(**PLAN | {"due": None})
    moved = ActivityRescheduled(due=FRIDAY, previous_due=None)
    given(undated).when(RescheduleActivity(due=FRIDAY)).then(moved)


def test_an_activity_that_is_due_then_is_not_moved():
    given(PLANNED).when(RescheduleActivity(due=MONDAY)).nothing()


def test_an_activity_is_begun():
    given(PLANNED).when(StartActivity()).then(STARTED)


def test_an_activity_is_begun_once():
    given(PLANNED, STARTED).when(StartActivity()).nothing()


@pytest.mark.parametrize("begun", [(PLANNED,), (PLANNED, STARTED)])
def test_an_activity_is_done(begun):
    given(*begun).when(CompleteActivity(**DONE)).then(COMPLETED)


def test_an_activity_is_done_once():
    given(PLANNED, COMPLETED).when(CompleteActivity(**DONE)).nothing()


@pytest.mark.parametrize("begun", [(PLANNED,), (PLANNED, STARTED)])
def test_an_activity_is_given_up(begun):
    given(*begun).when(CancelActivity(**GIVEN_UP)).then(CANCELLED)


def test_an_activity_is_given_up_once():
    given(PLANNED, CANCELLED).when(CancelActivity(**GIVEN_UP)).nothing()


@pytest.mark.parametrize(
    "wish",
    [
        AssignActivity(owner=BOB),
        RescheduleActivity(due=FRIDAY),
        StartActivity(),
        CompleteActivity(outcome="no_answer"),
        CancelActivity(reason="other"),
    ],
    ids=lambda wish: type(wish).__name__,
)
@pytest.mark.parametrize(
    ("history", "status"),
    [
        ((PLANNED, COMPLETED), "completed"),
        ((PLANNED, CANCELLED), "cancelled"),
        ((LOGGED,), "completed"),
    ],
    ids=["completed", "cancelled", "logged"],
)
def test_an_activity_that_is_over_no_longer_changes(wish, history, status):
    given(*history).and_on(BOB, BOB_REGISTERED).when(wish).refused(ActivityFinished, status=status)


@pytest.mark.parametrize(
    "wish",
    [
        AssignActivity(owner=BOB),
        RescheduleActivity(due=FRIDAY),
        StartActivity(),
        CompleteActivity(),
        CancelActivity(reason="other"),
    ],
    ids=lambda wish: type(wish).__name__,
)
def test_nothing_is_asked_of_an_unknown_activity(wish):
    given().when(wish).refused(ActivityUnknown)


def test_an_activity_read_without_keys_still_folds():
    hidden = ActivityPlanned(**PLAN | {"title": HIDDEN})
    done = ActivityCompleted(**DONE | {"note": HIDDEN})
    assert fold(Activity(), [hidden, STARTED, done]).status == "completed"
    logged = ActivityLogged(**LOG | {"title": HIDDEN, "note": HIDDEN})
    assert fold(Activity(), [logged]).status == "completed"


def test_an_activity_lives_on_its_own_stream():
    after = given().and_on(LEAD, CAPTURED).when(LogActivity(**LOG)).then(LOGGED)
    assert after.load(Activity, HERE).owner == ACTOR
