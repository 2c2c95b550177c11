"""What can be asked of a pipeline."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from commands.base import Command
from domain.pipeline import (
    Pipeline,
    PipelineAlreadyDefined,
    PipelineDefined,
    PipelineEvent,
    PipelineNotActive,
    PipelineRetired,
    PipelineRetracted,
    PipelineRevised,
    PipelineStage,
    PipelineUnknown,
    StageForecastWrong,
    StageProbabilityWrong,
    StageRepeated,
    StagesIncomplete,
)
from domain.values import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

Stages = Annotated[tuple[PipelineStage, ...], Field(max_length=50)]

SETTLED = {"won": (Decimal(1), "closed"), "lost": (Decimal(0), "omitted")}
"""What being won or lost says about the probability and the forecast of a stage."""

EXAMPLE_STAGES = [
    {"key": key, "name": name, "probability": probability, "status": status, "forecast_category": f}
    for key, name, probability, status, f in (
        ("prospecting", "Prospecting", "0.10", "open", "pipeline"),
        ("proposal", "Proposal", "0.50", "open", "best_case"),
        ("negotiation", "Negotiation", "0.80", "open", "commit"),
        ("won", "Won", "1", "won", "closed"),
        ("lost", "Lost", "0", "lost", "omitted"),
    )
]


class DefinePipeline(Command[Pipeline], creates=True):
    """Write down the stages of a way of selling, in order."""

    name: Line
    stages: Stages

    example = {"name": "New business", "stages": EXAMPLE_STAGES}

    def decide(self, pipeline: Pipeline, /) -> Iterator[PipelineEvent]:
        defined = PipelineDefined(**self.fields(), revision=1)
        if pipeline.defined == defined:
            return
        if pipeline.status != "unknown":
            raise PipelineAlreadyDefined
        check_stages(self.stages)
        yield defined


class RevisePipeline(Command[Pipeline]):
    """Change name or stages, for moves to come; deals keep the probabilities they have."""

    name: Line
    stages: Stages

    example = {"name": "New business", "stages": EXAMPLE_STAGES}

    def decide(self, pipeline: Pipeline, /) -> Iterator[PipelineEvent]:
        known(pipeline)
        if (pipeline.name, pipeline.stages) == (self.name, self.stages):
            return
        if pipeline.status != "active":
            raise PipelineNotActive(status=pipeline.status)
        check_stages(self.stages)
        yield PipelineRevised(**self.fields(), revision=pipeline.revision + 1)


class RetirePipeline(Command[Pipeline]):
    """Take no new deals; those in the pipeline go on."""

    example = {}

    def decide(self, pipeline: Pipeline, /) -> Iterator[PipelineEvent]:
        known(pipeline)
        if pipeline.status == "active":
            yield PipelineRetired()


class RetractPipeline(Command[Pipeline]):
    """Take back a pipeline that should never have been defined; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, pipeline: Pipeline, /) -> Iterator[PipelineEvent]:
        known(pipeline)
        yield PipelineRetracted(reason=self.reason)


def known(pipeline: Pipeline) -> None:
    """Refuse what is asked of a pipeline that was never defined."""
    if pipeline.status == "unknown":
        raise PipelineUnknown


def check_stages(stages: tuple[PipelineStage, ...]) -> None:
    """Refuse stages that a deal could not start in, end in, or be counted by."""
    keys = [stage.key for stage in stages]
    for key in keys:
        if keys.count(key) > 1:
            raise StageRepeated(stage=key)
    statuses = [stage.status for stage in stages]
    if statuses.count("won") != 1 or "lost" not in statuses or "open" not in statuses:
        raise StagesIncomplete
    for stage in stages:
        check_stage(stage)


def check_stage(stage: PipelineStage) -> None:
    """Refuse a stage that contradicts itself."""
    probability, forecast = SETTLED.get(stage.status, (stage.probability, stage.forecast_category))
    if stage.probability != probability:
        raise StageProbabilityWrong(
            stage=stage.key,
            status=stage.status,
            probability=stage.probability,
            expected=probability,
        )
    if stage.forecast_category != forecast or (stage.status, forecast) == ("open", "closed"):
        raise StageForecastWrong(
            stage=stage.key, status=stage.status, forecast_category=stage.forecast_category
        )
