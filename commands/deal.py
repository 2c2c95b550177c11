"""What can be asked of a deal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from commands.base import Command, Reference, World
from commands.custom_fields import CustomValues, custom_changes, custom_values
from commands.merger import merged_into, must_stand_alone
from commands.user import may_own, who_left
from domain.contact import Contact
from domain.customer import Customer, CustomerNotActive
from domain.deal import (
    Deal,
    DealAlreadyOpened,
    DealAmountChanged,
    DealAssigned,
    DealCloseDateChanged,
    DealCustomFieldsSet,
    DealEvent,
    DealLinked,
    DealLost,
    DealNotClosed,
    DealNotOpen,
    DealOpened,
    DealReopened,
    DealRetracted,
    DealStageChanged,
    DealUnknown,
    DealWithoutCustomer,
    DealWon,
    LossReason,
)
from domain.pipeline import Pipeline, PipelineNotActive, PipelineStage
from domain.undo import Conflict
from domain.user import User
from domain.values import Amount, Currency, Day, Line, Slug, Text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

Price = Annotated[Amount, Field(ge=0)]
"""What a deal is worth: never less than nothing."""


class OpenDeal(Command[Deal], creates=True):
    """Record a chance to sell; it starts in the first open stage unless another is named.

    Whose deal it is may still be unknown: `LinkDeal` tells later.
    """

    name: Line
    customer_id: Reference[Customer] | None = None
    contact_id: Reference[Contact] | None = None
    pipeline_id: Reference[Pipeline]
    stage: Slug | None = None
    amount: Price
    currency: Currency
    expected_close: Day | None = None
    owner: Reference[User] | None = None
    product: Line | None = None
    custom: CustomValues = Field(default_factory=dict)

    example = {
        "name": "Example Ltd: 40 seats",
        "customer_id": "00000000-0000-4000-8000-000000000003",
        "pipeline_id": "00000000-0000-4000-8000-000000000004",
        "amount": "12000.00",
        "currency": "EUR",
        "expected_close": "2026-06-30",
        "product": "Seats",
    }

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        wish = self.fields() | custom_values(world, Deal, self.custom)
        if (opened := deal.opened) is not None:
            wish["stage"] = self.stage or opened.stage
            if opened != opened.model_copy(update=wish):
                raise DealAlreadyOpened
            return
        if self.customer_id:
            may_buy(world, self.customer_id)
        if self.owner:
            may_own(world, self.owner)
        yield DealOpened(**wish | place(world, self.pipeline_id, self.stage))


class LinkDeal(Command[Deal]):
    """Say whose deal it is, where that was unknown or wrong."""

    customer_id: Reference[Customer]

    example = {"customer_id": "00000000-0000-4000-8000-000000000003"}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        if deal.customer_id == self.customer_id:
            return
        must_be_open(deal)
        may_buy(world, self.customer_id)
        yield DealLinked(customer_id=self.customer_id, previous_customer_id=deal.customer_id)


class ChangeDealStage(Command[Deal]):
    """Move an open deal to another open stage."""

    stage: Slug

    example = {"stage": "negotiation"}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        if deal.stage == self.stage:
            return
        must_be_open(deal)
        pipeline = world.load(Pipeline, deal.pipeline_id)
        yield DealStageChanged(**move(deal, pipeline, pipeline.open_stage(self.stage)))


class ChangeDealAmount(Command[Deal]):
    """Say what an open deal is worth now."""

    amount: Price
    currency: Currency

    example = {"amount": "15000.00", "currency": "EUR"}

    def decide(self, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        if (deal.amount, deal.currency) == (self.amount, self.currency):
            return
        must_be_open(deal)
        yield DealAmountChanged(
            **self.fields(), previous_amount=deal.amount, previous_currency=deal.currency
        )


class ChangeDealCloseDate(Command[Deal]):
    """Say when the sale is expected now; null if nobody knows."""

    expected_close: Day | None

    example = {"expected_close": "2026-09-30"}

    def decide(self, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        if deal.expected_close == self.expected_close:
            return
        must_be_open(deal)
        yield DealCloseDateChanged(
            expected_close=self.expected_close, previous_expected_close=deal.expected_close
        )


class AssignDeal(Command[Deal]):
    """Make a user responsible for an open deal."""

    owner: Reference[User]

    example = {"owner": "00000000-0000-4000-8000-000000000001"}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        if deal.owner == self.owner:
            return
        must_be_open(deal)
        may_own(world, self.owner)
        yield DealAssigned(owner=self.owner, previous_owner=deal.owner)


class WinDeal(Command[Deal]):
    """Record that the customer bought, for the last amount unless another is named."""

    amount: Price | None = None

    example = {"amount": "14500.00"}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        amount = deal.amount if self.amount is None else self.amount
        if deal.status == "won" and deal.amount == amount:
            return
        must_be_open(deal)
        if deal.customer_id is None:
            raise DealWithoutCustomer
        if deal.amount != amount:
            yield from ChangeDealAmount(amount=amount, currency=deal.currency).decide(deal)
        pipeline = world.load(Pipeline, deal.pipeline_id)
        yield DealWon(**move(deal, pipeline, pipeline.won_stage()) | {"amount": amount})


class LoseDeal(Command[Deal]):
    """Record that the customer did not buy, and why; in the first lost stage unless named."""

    reason: LossReason
    competitor: Line | None = None
    note: Text = ""
    stage: Slug | None = None

    example = {"reason": "competitor", "competitor": "Rival Inc", "note": "Half our price."}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        match deal.turn:
            case DealLost(reason=self.reason, competitor=self.competitor, note=self.note) if (
                self.stage in {None, deal.stage}
            ):
                return
        must_be_open(deal)
        pipeline = world.load(Pipeline, deal.pipeline_id)
        lost = move(deal, pipeline, pipeline.lost_stage(self.stage))
        yield DealLost(**lost, reason=self.reason, competitor=self.competitor, note=self.note)


class ReopenDeal(Command[Deal]):
    """Take a won or lost deal up again, in the stage it was in unless another is named.

    A customer closed or merged, a pipeline revised and an owner who left since are conflicts.
    """

    stage: Slug | None = None
    reason: Line

    example = {"stage": "proposal", "reason": "The customer withdrew from the contract"}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        match deal.turn:
            case DealWon(from_stage=before) | DealLost(from_stage=before):
                pipeline = world.load(Pipeline, deal.pipeline_id)
                stage = pipeline.open_stage(self.stage or before)
                moved = move(deal, pipeline, stage)
                conflicts = tuple(self.conflicts(world, deal, pipeline))
                yield DealReopened(**moved, reason=self.reason, conflicts=conflicts)
            case DealReopened(reason=self.reason, to_stage=stage) if (
                deal.stage == stage and self.stage in {None, stage}
            ):
                return
            case _:
                raise DealNotClosed(status=deal.status)

    def conflicts(self, world: World, deal: Deal, pipeline: Pipeline) -> Iterator[Conflict]:
        """What is otherwise than when the deal was closed, and matters to an open one."""
        if deal.turn and deal.turn.pipeline_revision != pipeline.revision:
            yield Conflict(kind="pipeline", id=deal.pipeline_id, field="stages")
        if deal.customer_id:
            customer = world.load(Customer, deal.customer_id)
            if merged_into(customer, deal.customer_id) != deal.customer_id:
                yield Conflict(kind="customer", id=deal.customer_id, field="merged_into")
            elif customer.status != "active":
                yield Conflict(kind="customer", id=deal.customer_id, field="status")
        yield from who_left(world, deal.owner)


class SetDealCustomFields(Command[Deal]):
    """Set custom fields of a deal; fields not named keep their values."""

    custom: CustomValues

    example = {"custom": {}}

    def decide_in(self, world: World, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        if changes := custom_changes(world, Deal, deal, self.custom):
            yield DealCustomFieldsSet(**changes)


class RetractDeal(Command[Deal]):
    """Take back a deal that should never have been opened; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, deal: Deal, /) -> Iterator[DealEvent]:
        known(deal)
        yield DealRetracted(reason=self.reason)


def known(deal: Deal) -> None:
    """Refuse what is asked of a deal that was never opened."""
    if deal.status == "unknown":
        raise DealUnknown


def must_be_open(deal: Deal) -> None:
    """Refuse what only an open deal can do."""
    known(deal)
    if deal.status != "open":
        raise DealNotOpen(status=deal.status)


def may_buy(world: World, customer_id: UUID) -> None:
    """Refuse a customer to whom we no longer sell."""
    customer = world.load(Customer, customer_id)
    must_stand_alone(customer)
    if customer.status != "active":
        raise CustomerNotActive(status=customer.status)


def place(world: World, pipeline_id: UUID, stage: str | None) -> dict[str, Any]:
    """Where a new deal stands in a pipeline, as fields of its first event."""
    pipeline = world.load(Pipeline, pipeline_id)
    if pipeline.status != "active":
        raise PipelineNotActive(status=pipeline.status)
    first = pipeline.open_stage(stage)
    return {
        "stage": first.key,
        "probability": first.probability,
        "forecast_category": first.forecast_category,
        "pipeline_revision": pipeline.revision,
    }


def move(deal: Deal, pipeline: Pipeline, stage: PipelineStage) -> dict[str, Any]:
    """A step to `stage`, as fields of an event."""
    return {
        "from_stage": deal.stage,
        "to_stage": stage.key,
        "probability": stage.probability,
        "forecast_category": stage.forecast_category,
        "pipeline_revision": pipeline.revision,
        "amount": deal.amount,
        "currency": deal.currency,
    }
