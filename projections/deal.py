"""What readers see of deals."""

from domain.deal import (
    Deal,
    DealAmountChanged,
    DealAssigned,
    DealCloseDateChanged,
    DealCustomFieldsSet,
    DealLinked,
    DealLost,
    DealOpened,
    DealReopened,
    DealRetracted,
    DealStageChanged,
    DealWon,
)
from projections.base import (
    Assignments,
    Dimension,
    FactTable,
    assign,
    blank,
    envelope,
    field,
    row,
    state,
)
from readmodels.units import money, ordinal, share

STAGE: Assignments = assign(
    stage=field.to_stage,
    probability=field,
    forecast_category=field,
    pipeline_revision=field,
    stage_since=envelope.effective_at,
    amount=field,
    currency=field,
)
MOVE: Assignments = row(
    from_stage=field,
    to_stage=field,
    probability=field,
    amount=field,
    currency=field,
    pipeline_id=state.pipeline_id,
    deal_owner=state.owner,
)
CLOSE: Assignments = row(
    amount=field,
    currency=field,
    from_stage=field,
    deal_owner=state.owner,
    customer_id=state.customer_id,
    product=state.product,
    opened_at=state.opened_at,
)

deal = Dimension(
    "deal",
    of=Deal,
    on={
        DealOpened: assign(
            status="open",
            name=field,
            customer_id=field,
            contact_id=field,
            pipeline_id=field,
            pipeline_revision=field,
            stage=field,
            probability=field,
            forecast_category=field,
            amount=field,
            currency=field,
            expected_close=field,
            owner=field,
            product=field,
            opened_at=envelope.effective_at,
            stage_since=envelope.effective_at,
            custom=field,
            custom_personal=field,
        ),
        DealLinked: assign(customer_id=field),
        DealStageChanged: STAGE,
        DealAmountChanged: assign(amount=field, currency=field),
        DealCloseDateChanged: assign(expected_close=field),
        DealAssigned: assign(owner=field),
        DealWon: {
            **STAGE,
            **assign(status="won", closed_at=envelope.effective_at),
        },
        DealLost: {
            **STAGE,
            **assign(
                status="lost",
                closed_at=envelope.effective_at,
                reason=field,
                competitor=field,
            ),
        },
        DealReopened: {
            **STAGE,
            **assign(status="open", closed_at=None, reason=None, competitor=None),
        },
        DealCustomFieldsSet: assign(custom=field, custom_personal=field),
        DealRetracted: blank(status="retracted"),
    },
    description="Deals: chances to sell, and how they ended.",
    columns={
        "status": "open, won or lost.",
        "owner": "The user responsible for the deal.",
        "name": "Name of the deal.",
        "customer_id": "The customer it is with.",
        "contact_id": "The contact it is with.",
        "pipeline_id": "The pipeline it goes through.",
        "pipeline_revision": ordinal("The revision of the pipeline its stage was judged by."),
        "stage": "Key of the stage it is in.",
        "stage_since": "When it came into the stage.",
        "probability": share("How likely the stage makes a sale: 0 to 1, as of the move into it."),
        "forecast_category": "pipeline, best_case, commit, closed or omitted.",
        "amount": money("What it is worth, in the currency of the row."),
        "currency": "Currency of the amount, ISO 4217.",
        "expected_close": "When it is expected to be won.",
        "product": "What is sold.",
        "opened_at": "When it was opened.",
        "closed_at": "When it was won or lost.",
        "reason": "Why it was lost.",
        "competitor": "To whom it was lost.",
        "custom": "Custom fields, as one object.",
        "custom_personal": "Personal custom fields, as one object.",
    },
)

stage_change = FactTable(
    "stage_change",
    of=deal,
    on={
        DealOpened: row(
            kind="opened",
            to_stage=field.stage,
            probability=field,
            amount=field,
            currency=field,
            pipeline_id=field,
            deal_owner=field.owner,
        ),
        DealStageChanged: {**MOVE, **row(kind="moved")},
        DealWon: {**MOVE, **row(kind="won")},
        DealLost: {**MOVE, **row(kind="lost", reason=field)},
        DealReopened: {**MOVE, **row(kind="reopened", reason=field, conflicts=field)},
    },
    description="Moves of deals from stage to stage, from the opening on.",
    columns={
        "kind": "opened, moved, won, lost or reopened.",
        "from_stage": "The stage before; null when the deal was opened.",
        "to_stage": "The stage after.",
        "probability": share("How likely the new stage makes a sale, 0 to 1."),
        "amount": money("What the deal was worth then."),
        "currency": "Currency of the amount.",
        "pipeline_id": "The pipeline.",
        "deal_owner": "The user responsible for the deal then.",
        "reason": "Why the deal was lost, or taken up again.",
        "conflicts": "What was otherwise by then that matters once it is taken up again, as a list "
        "of kind, id and field.",
    },
)

amount_change = FactTable(
    "amount_change",
    of=deal,
    on={
        DealAmountChanged: row(
            from_amount=field.previous_amount,
            from_currency=field.previous_currency,
            to_amount=field.amount,
            to_currency=field.currency,
            deal_owner=state.owner,
        ),
    },
    description="Deals that became worth more or less.",
    columns={
        "from_amount": money("The amount before.", "from_currency"),
        "from_currency": "Its currency.",
        "to_amount": money("The amount after.", "to_currency"),
        "to_currency": "Its currency.",
        "deal_owner": "The user responsible for the deal then.",
    },
)

close_date_change = FactTable(
    "close_date_change",
    of=deal,
    on={
        DealCloseDateChanged: row(
            from_date=field.previous_expected_close,
            to_date=field.expected_close,
            deal_owner=state.owner,
        ),
    },
    description="Deals that are expected sooner or later than before.",
    columns={
        "from_date": "The date before.",
        "to_date": "The date after.",
        "deal_owner": "The user responsible for the deal then.",
    },
)

deal_closed = FactTable(
    "deal_closed",
    of=deal,
    on={
        DealWon: {**CLOSE, **row(outcome="won")},
        DealLost: {**CLOSE, **row(outcome="lost", reason=field, competitor=field, note=field)},
    },
    description="Deals won and lost; a deal that was reopened can be here twice.",
    columns={
        "outcome": "won or lost.",
        "amount": money("What the deal was worth."),
        "currency": "Currency of the amount.",
        "from_stage": "The last open stage.",
        "deal_owner": "The user who had it when it was closed.",
        "customer_id": "The customer.",
        "product": "What was sold, or not.",
        "opened_at": "When the deal was opened.",
        "reason": "Why it was lost.",
        "competitor": "To whom it was lost.",
        "note": "What was noted about the loss.",
    },
)
