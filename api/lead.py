"""Doors to leads."""

from api.answers import answer, show
from api.base import accept, doors
from commands.conversion import ConvertLead, RecordLeadConversion
from commands.lead import (
    AssignLead,
    CaptureLead,
    DisqualifyLead,
    EngageLead,
    QualifyLead,
    RecycleLead,
    RetractLead,
    SetLeadCustomFields,
)
from commands.subject import (
    ForgetLead,
    PlaceLeadLegalHold,
    ReleaseLeadLegalHold,
)
from commands.unconversion import UnconvertLead
from projections.lead import lead
from readmodels.lead import (
    lead_board,
    lead_cohorts,
    lead_funnel,
    lead_journey,
    lead_source_revenue,
    lead_sources,
)

router = doors("leads")

answer(router, "/board", lead_board)
answer(router, "/journey", lead_journey)
answer(router, "/funnel", lead_funnel)
answer(router, "/cohorts", lead_cohorts)
answer(router, "/sources", lead_sources)
answer(router, "/source-revenue", lead_source_revenue)
show(router, lead)

accept(router, "/{id}/capture", CaptureLead)
accept(router, "/{id}/assign", AssignLead)
accept(router, "/{id}/engage", EngageLead)
accept(router, "/{id}/qualify", QualifyLead)
accept(router, "/{id}/disqualify", DisqualifyLead)
accept(router, "/{id}/recycle", RecycleLead)
accept(router, "/{id}/convert", ConvertLead)
accept(router, "/{id}/record-conversion", RecordLeadConversion)
accept(router, "/{id}/unconvert", UnconvertLead)
accept(router, "/{id}/set-custom-fields", SetLeadCustomFields)
accept(router, "/{id}/forget", ForgetLead)
accept(router, "/{id}/place-legal-hold", PlaceLeadLegalHold)
accept(router, "/{id}/release-legal-hold", ReleaseLeadLegalHold)
accept(router, "/{id}/retract", RetractLead)
