"""Doors to leads."""

from api.base import accept, doors
from commands.conversion import ConvertLead
from commands.lead import (
    AssignLead,
    CaptureLead,
    DisqualifyLead,
    EngageLead,
    QualifyLead,
    RecycleLead,
    SetLeadCustomFields,
)

router = doors("leads")

accept(router, "/{id}/capture", CaptureLead)
accept(router, "/{id}/assign", AssignLead)
accept(router, "/{id}/engage", EngageLead)
accept(router, "/{id}/qualify", QualifyLead)
accept(router, "/{id}/disqualify", DisqualifyLead)
accept(router, "/{id}/recycle", RecycleLead)
accept(router, "/{id}/convert", ConvertLead)
accept(router, "/{id}/set-custom-fields", SetLeadCustomFields)
