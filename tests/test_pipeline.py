"""Stories about pipelines."""

from __future__ import annotations

from decimal import Decimal

import pytest

from commands.pipeline import DefinePipeline, RetirePipeline, RevisePipeline
from domain.base import Refusal
from domain.pipeline import (
    PipelineAlreadyDefined,
    PipelineNotActive,
    PipelineRetired,
    PipelineRevised,
    PipelineStage,
    PipelineUnknown,
    StageForecastWrong,
    StageProbabilityWrong,
    StageRepeated,
    StagesIncomplete,
)
from tests.examples import DEFINED, STAGES, stage
from tests.given import but, given

PROSPECTING, PROPOSAL, NEGOTIATION, WON, LOST, ABANDONED = STAGES
DEFINE = DefinePipeline(name="New business", stages=STAGES)
FEWER = (PROPOSAL, WON, LOST)
REVISED = PipelineRevised(name="New business", stages=FEWER, revision=2)
REVISE = RevisePipeline(name="New business", stages=FEWER)


def test_a_pipeline_is_defined_once():
    given().when(DEFINE).then(DEFINED).when(DEFINE).nothing()


def test_a_pipeline_is_not_defined_again_with_other_values():
    given(DEFINED).when(DefinePipeline(name="Renewals", stages=STAGES)).refused(
        PipelineAlreadyDefined
    )


def test_the_same_definition_again_is_nothing_even_after_a_revision():
    given(DEFINED, REVISED).when(DEFINE).nothing()


def test_a_revision_counts_up():
    given(DEFINED).when(REVISE).then(REVISED).when(REVISE).nothing().when(
        RevisePipeline(name="Old business", stages=FEWER)
    ).then(but(REVISED, name="Old business", revision=3))


def test_only_a_pipeline_that_exists_is_revised():
    given().when(REVISE).refused(PipelineUnknown)


def test_a_retired_pipeline_is_not_revised():
    given(DEFINED, PipelineRetired()).when(REVISE).refused(PipelineNotActive, status="retired")


def test_what_a_retired_pipeline_says_may_be_said_again():
    given(DEFINED, REVISED, PipelineRetired()).when(REVISE).nothing()


def test_a_pipeline_is_retired_once():
    given(DEFINED).when(RetirePipeline()).then(PipelineRetired()).when(RetirePipeline()).nothing()


def test_only_a_pipeline_that_exists_is_retired():
    given().when(RetirePipeline()).refused(PipelineUnknown)


UNUSABLE = {
    "a stage is listed twice": ((*STAGES, PROPOSAL), StageRepeated),
    "nothing is listed": ((), StagesIncomplete),
    "no stage is open": ((WON, LOST), StagesIncomplete),
    "no stage is won": ((PROPOSAL, LOST), StagesIncomplete),
    "two stages are won": (
        (PROPOSAL, WON, stage("celebrated", "1", "won", "closed"), LOST),
        StagesIncomplete,
    ),
    "no stage is lost": ((PROPOSAL, WON), StagesIncomplete),
    "won is not certain": (
        (PROPOSAL, stage("won", "0.9", "won", "closed"), LOST),
        StageProbabilityWrong,
    ),
    "lost is still likely": (
        (PROPOSAL, WON, stage("lost", "0.1", "lost", "omitted")),
        StageProbabilityWrong,
    ),
    "won is not forecast as closed": (
        (PROPOSAL, stage("won", "1", "won", "commit"), LOST),
        StageForecastWrong,
    ),
    "lost is forecast": (
        (PROPOSAL, WON, stage("lost", "0", "lost", "pipeline")),
        StageForecastWrong,
    ),
    "open is forecast as closed": (
        (stage("proposal", "0.5", "open", "closed"), WON, LOST),
        StageForecastWrong,
    ),
}


@pytest.mark.parametrize(("stages", "why"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_stages_that_no_deal_could_live_by_are_refused(
    stages: tuple[PipelineStage, ...], why: type[Refusal]
):
    given().when(DefinePipeline(name="New business", stages=stages)).refused(why)
    given(DEFINED).when(RevisePipeline(name="New business", stages=stages)).refused(why)


def test_a_wrong_probability_is_named():
    certain = stage("won", "0.9", "won", "closed")
    given().when(DefinePipeline(name="x", stages=(PROPOSAL, certain, LOST))).refused(
        StageProbabilityWrong,
        stage="won",
        status="won",
        probability=Decimal("0.9"),
        expected=Decimal(1),
    )
