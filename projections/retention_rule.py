"""What readers see of rules of retention."""

from domain.retention_rule import RetentionRule, RetentionRuleRepealed, RetentionRuleSet
from projections.base import Dimension, assign, envelope, field

retention_rule = Dimension(
    "retention_rule",
    of=RetentionRule,
    on={
        RetentionRuleSet: assign(
            kind=field,
            status="in_force",
            keep_for=field,
            unless_consented=field,
            legal_basis=field,
            repeal_reason=None,
            decided_by=envelope.actor,
        ),
        RetentionRuleRepealed: assign(
            kind=field,
            status="repealed",
            repeal_reason=field.reason,
            decided_by=envelope.actor,
        ),
    },
    description="Rules of retention: how long personal data of which kind is kept, and why.",
    columns={
        "kind": "disqualified_lead, archived_contact, closed_customer, closed_ticket, "
        "finished_activity or former_user.",
        "status": "in_force or repealed.",
        "keep_for": "How long after its end it is kept, as an ISO 8601 duration: P90D, P24M, P10Y.",
        "unless_consented": "Whether contacts with a consent that holds are spared.",
        "legal_basis": "On what legal ground it is forgotten after that.",
        "repeal_reason": "Why it was repealed; NULL: it is in force.",
        "decided_by": "The user who set or repealed it.",
    },
)
