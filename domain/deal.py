"""A deal: a sale that may come about, worth so much, on its way through a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, assert_never
from uuid import UUID

from domain.base import Event, Personal, Refusal, State, replace
from domain.undo import Conflicts, without_conflicts
from domain.values import (
    NIL,
    Amount,
    Currency,
    CustomValue,
    Day,
    ForecastCategory,
    Line,
    Probability,
    Slug,
    Text,
)

LossReason = Literal[
    "price",
    "competitor",
    "no_budget",
    "no_decision",
    "bad_timing",
    "missing_feature",
    "unreachable",
    "other",
    "not_given",
]
Status = Literal["unknown", "open", "won", "lost"]


class DealOpened(Event, type="deal.opened.v1"):
    """A chance to sell was found; its stage says what it is worth to a forecast."""

    name: Line
    customer_id: UUID | None
    contact_id: UUID | None
    pipeline_id: UUID
    pipeline_revision: int
    stage: Slug
    probability: Probability
    forecast_category: ForecastCategory
    amount: Amount
    currency: Currency
    expected_close: Day | None
    owner: UUID | None
    product: Line | None
    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class DealLinked(Event, type="deal.linked.v1"):
    """It became known, or was corrected, whose deal it is."""

    customer_id: UUID | None
    previous_customer_id: UUID | None


class DealMove(Event):
    """From one stage to another; what the stages said then stays with the deal."""

    from_stage: Slug
    to_stage: Slug
    probability: Probability
    forecast_category: ForecastCategory
    pipeline_revision: int
    amount: Amount
    currency: Currency


class DealStageChanged(DealMove, type="deal.stage_changed.v1"):
    """The deal came closer to a sale, or fell back."""


class DealWon(DealMove, type="deal.won.v1"):
    """The customer bought, for this amount."""


class DealLost(DealMove, type="deal.lost.v1"):
    """The customer did not buy, for a reason."""

    reason: LossReason
    competitor: Line | None
    note: Personal[Text]


class DealReopened(
    DealMove, type="deal.reopened.v2", lifts={"deal.reopened.v1": without_conflicts}
):
    """A deal that was won or lost is open again."""

    reason: Line
    conflicts: Conflicts


class DealAmountChanged(Event, type="deal.amount_changed.v1"):
    """The deal is worth more or less than before."""

    amount: Amount
    currency: Currency
    previous_amount: Amount
    previous_currency: Currency


class DealCloseDateChanged(Event, type="deal.close_date_changed.v1"):
    """The sale is expected sooner or later than before."""

    expected_close: Day | None
    previous_expected_close: Day | None


class DealAssigned(Event, type="deal.assigned.v1"):
    """A user became responsible for the deal; null: nobody is."""

    owner: UUID | None
    previous_owner: UUID | None


class DealCustomFieldsSet(Event, type="deal.custom_fields_set.v1"):
    """Custom fields took new values; all of them are listed, as they are now."""

    custom: dict[str, CustomValue]
    custom_personal: Personal[dict[str, CustomValue]]


class DealRetracted(Event, type="deal.retracted.v1"):
    """The record was taken back: it is as if the deal had never been opened."""

    reason: Line


DealEvent = (
    DealOpened
    | DealLinked
    | DealStageChanged
    | DealAmountChanged
    | DealCloseDateChanged
    | DealAssigned
    | DealWon
    | DealLost
    | DealReopened
    | DealCustomFieldsSet
    | DealRetracted
)


class DealUnknown(Refusal):
    """There is no such deal."""


class DealAlreadyOpened(Refusal):
    """A deal with this id was opened before, with other values."""


class DealWithoutCustomer(Refusal):
    """The deal has no customer yet; somebody has to buy before it is won."""


class DealOfAnotherCustomer(Refusal):
    """The deal belongs to another customer, or to none yet."""


class DealNotOpen(Refusal):
    """The deal is {status}; only an open deal can do this."""


class DealNotClosed(Refusal):
    """The deal is {status}; only a deal that was won or lost can be reopened."""


@dataclass(frozen=True, slots=True)
class Deal(State[DealEvent]):
    """What decisions about a deal need to know."""

    status: Status = "unknown"
    customer_id: UUID | None = None
    pipeline_id: UUID = NIL
    stage: str = ""
    probability: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    currency: str = ""
    expected_close: Day | None = None
    owner: UUID | None = None
    custom: dict[str, CustomValue] = field(default_factory=dict)
    custom_personal: dict[str, CustomValue] = field(default_factory=dict)
    opened: DealOpened | None = None
    turn: DealWon | DealLost | DealReopened | None = None

    def evolve(self, event: DealEvent, /) -> Deal:
        match event:
            case DealOpened():
                return Deal(
                    status="open",
                    customer_id=event.customer_id,
                    pipeline_id=event.pipeline_id,
                    stage=event.stage,
                    probability=event.probability,
                    amount=event.amount,
                    currency=event.currency,
                    expected_close=event.expected_close,
                    owner=event.owner,
                    custom=event.custom,
                    custom_personal=event.custom_personal,
                    opened=event,
                )
            case DealLinked():
                return replace(self, customer_id=event.customer_id)
            case DealStageChanged():
                return self._moved(event)
            case DealWon():
                return replace(self._moved(event), status="won", turn=event)
            case DealLost():
                return replace(self._moved(event), status="lost", turn=event)
            case DealReopened():
                return replace(self._moved(event), status="open", turn=event)
            case DealAmountChanged():
                return replace(self, amount=event.amount, currency=event.currency)
            case DealCloseDateChanged():
                return replace(self, expected_close=event.expected_close)
            case DealAssigned():
                return replace(self, owner=event.owner)
            case DealCustomFieldsSet():
                return replace(self, custom=event.custom, custom_personal=event.custom_personal)
            case DealRetracted():
                return Deal()
            case _:
                assert_never(event)

    def _moved(self, event: DealMove) -> Deal:
        return replace(
            self,
            stage=event.to_stage,
            probability=event.probability,
            amount=event.amount,
            currency=event.currency,
        )
