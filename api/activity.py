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
    StartActivity,
)
from projections.activity import activity
from readmodels.query import report

router = doors("activities")

answer(router, "/interactions", report("customer_interactions"))
answer(router, "/overdue", report("overdue_activities"))
answer(router, "/summary", report("activity_summary"))
show(router, activity)

accept(router, "/{id}/plan", PlanActivity)
accept(router, "/{id}/log", LogActivity, anew="/log")
accept(router, "/{id}/assign", AssignActivity)
accept(router, "/{id}/reschedule", RescheduleActivity)
accept(router, "/{id}/start", StartActivity)
accept(router, "/{id}/complete", CompleteActivity)
accept(router, "/{id}/cancel", CancelActivity)
