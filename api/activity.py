"""Doors to activities: tasks, calls, meetings and e-mails."""

from api.answers import answer, show
from api.base import accept, doors
from commands.activity import (
    AssignActivity,
    CancelActivity,
    CompleteActivity,
    LogActivity,
    PlanActivity,
    RescheduleActivity,
    RetractActivity,
    StartActivity,
)
from projections.activity import activity
from readmodels.activity import activity_summary, customer_interactions, overdue_activities

router = doors("activities")

answer(router, "/interactions", customer_interactions)
answer(router, "/overdue", overdue_activities)
answer(router, "/summary", activity_summary)
show(router, activity)

accept(router, "/{id}/plan", PlanActivity)
accept(router, "/{id}/log", LogActivity, anew="/log")
accept(router, "/{id}/assign", AssignActivity)
accept(router, "/{id}/reschedule", RescheduleActivity)
accept(router, "/{id}/start", StartActivity)
accept(router, "/{id}/complete", CompleteActivity)
accept(router, "/{id}/cancel", CancelActivity)
accept(router, "/{id}/retract", RetractActivity)
