"""What readers see of leads."""

from domain.lead import (
    Lead,
    LeadAssigned,
    LeadCaptured,
    LeadConverted,
    LeadCustomFieldsSet,
    LeadDisqualified,
    LeadEngaged,
    LeadQualified,
    LeadRecycled,
    LeadRetracted,
    LeadUnconverted,
)
from projections.base import Dimension, FactTable, assign, blank, envelope, field, row, state
from readmodels.units import count, ordinal, points

lead = Dimension(
    "lead",
    of=Lead,
    on={
        LeadCaptured: assign(
            status="open",
            source=field,
            campaign_id=field,
            company=field,
            title=field,
            country=field,
            email_kind=field,
            has_phone=field,
            engagements=0,
            captured_at=envelope.effective_at,
            custom=field,
            name=field,
            email=field,
            phone=field,
            custom_personal=field,
        ),
        LeadAssigned: assign(owner=field),
        LeadEngaged: assign(engagements=field),
        LeadQualified: assign(
            status="qualified",
            budget=field,
            authority=field,
            need=field,
            timeline=field,
            evidence=field,
            qualified_at=envelope.effective_at,
        ),
        LeadDisqualified: assign(status="disqualified", reason=field),
        LeadRecycled: assign(
            status="open",
            reason=None,
            budget=None,
            authority=None,
            need=None,
            timeline=None,
            evidence=None,
        ),
        LeadConverted: assign(
            status="converted",
            customer_id=field,
            contact_id=field,
            deal_id=field,
            made=field,
            role=field,
            converted_at=envelope.effective_at,
        ),
        LeadUnconverted: assign(
            status=field.to_status,
            customer_id=None,
            contact_id=None,
            deal_id=None,
            made=None,
            role=None,
            converted_at=None,
        ),
        LeadCustomFieldsSet: assign(custom=field, custom_personal=field),
        LeadRetracted: blank(status="retracted"),
    },
    description="Leads: who showed interest, and what became of it.",
    columns={
        "status": "open, qualified, disqualified or converted.",
        "owner": "The user responsible for the lead.",
        "source": "Where the lead came from.",
        "campaign_id": "The campaign that brought the lead.",
        "company": "The company the lead works for.",
        "title": "The lead's position there.",
        "country": "Country of the lead, ISO 3166-1 alpha-2.",
        "email_kind": "Whether the e-mail address is one of a business, a free one, or none.",
        "has_phone": "Whether a telephone number is known.",
        "engagements": count("How often the lead showed interest after it was captured."),
        "budget": points("BANT: is there money? 0 to 5."),
        "authority": points("BANT: can the lead decide? 0 to 5."),
        "need": points("BANT: is there a need? 0 to 5."),
        "timeline": points("BANT: is it soon? 0 to 5."),
        "reason": "Why the lead was disqualified.",
        "customer_id": "The customer the lead became.",
        "contact_id": "The contact the lead became.",
        "deal_id": "The deal that was opened with the conversion.",
        "made": "The records that began with the conversion.",
        "role": "The role the contact came to play at the customer by it.",
        "captured_at": "When the lead was captured.",
        "qualified_at": "When the lead was last judged worth working, even if given up since.",
        "converted_at": "When the lead was converted.",
        "custom": "Custom fields, as one object.",
        "name": "Name of the person.",
        "email": "E-mail address of the person.",
        "phone": "Telephone number of the person.",
        "evidence": "What the judgement of budget, authority, need and timeline rests on.",
        "custom_personal": "Personal custom fields, as one object.",
    },
)

engagement = FactTable(
    "engagement",
    of=lead,
    on={
        LeadEngaged: row(
            kind=field,
            engagement_number=field.engagements,
            lead_owner=state.owner,
            lead_source=state.source,
            note=field,
        ),
    },
    description="What leads did that shows interest.",
    columns={
        "kind": "What the lead did, such as email_opened or form_submitted.",
        "engagement_number": ordinal("1 for the lead's first engagement, and so on."),
        "lead_owner": "The user responsible for the lead then.",
        "lead_source": "Where the lead came from.",
        "note": "What was noted about it.",
    },
)

lead_status_change = FactTable(
    "lead_status_change",
    of=lead,
    on={
        LeadCaptured: row(to_status=state.status, lead_owner=state.owner, lead_source=state.source),
        LeadQualified: row(
            to_status=state.status, lead_owner=state.owner, lead_source=state.source
        ),
        LeadDisqualified: row(
            to_status=state.status,
            lead_owner=state.owner,
            lead_source=state.source,
            reason=field,
            note=field,
        ),
        LeadRecycled: row(
            to_status=state.status,
            lead_owner=state.owner,
            lead_source=state.source,
            reason=field,
            conflicts=field,
        ),
        LeadConverted: row(
            to_status=state.status, lead_owner=state.owner, lead_source=state.source
        ),
        LeadUnconverted: row(
            to_status=field, lead_owner=state.owner, lead_source=state.source, reason=field
        ),
    },
    description="Steps of leads from one status to the next.",
    columns={
        "to_status": "The status the lead took.",
        "lead_owner": "The user responsible for the lead then.",
        "lead_source": "Where the lead came from.",
        "reason": "Why the lead was given up, or taken up again, or its conversion taken back.",
        "conflicts": "What was otherwise by then that matters once it is taken up again, as a list "
        "of kind, id and field.",
        "note": "What was noted about it.",
    },
)
