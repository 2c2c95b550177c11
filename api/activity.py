"""Doors to activities: tasks, calls, meetings and e-mails."""

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

router = doors("activities")

accept(router, "/{id}/plan", PlanActivity)
accept(router, "/{id}/log", LogActivity, anew="/log")
accept(router, "/{id}/assign", AssignActivity)
accept(router, "/{id}/reschedule", RescheduleActivity)
accept(router, "/{id}/start", StartActivity)
accept(router, "/{id}/complete", CompleteActivity)
accept(router, "/{id}/cancel", CancelActivity)
