"""A pipeline: the stages a deal goes through, and how likely each is to end in a sale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from pydantic import BaseModel, ConfigDict

from domain.base import Event, Refusal, State, replace
from domain.values import ForecastCategory, Line, Probability, Slug

StageStatus = Literal["open", "won", "lost"]
Status = Literal["unknown", "active", "retired"]


class PipelineStage(BaseModel):
    """One stage, and what standing there says about a deal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Slug
    name: Line
    probability: Probability
    status: StageStatus
    forecast_category: ForecastCategory


class PipelineDefined(Event, type="pipeline.defined.v1"):
    """A way of selling was written down."""

    name: Line
    stages: tuple[PipelineStage, ...]
    revision: int


class PipelineRevised(Event, type="pipeline.revised.v1"):
    """The stages changed, for moves to come; deals keep the probabilities they have."""

    name: Line
    stages: tuple[PipelineStage, ...]
    revision: int


class PipelineRetired(Event, type="pipeline.retired.v1"):
    """The pipeline takes no new deals; those in it go on."""


class PipelineRetracted(Event, type="pipeline.retracted.v1"):
    """The record was taken back: it is as if the pipeline had never been defined."""

    reason: Line


PipelineEvent = PipelineDefined | PipelineRevised | PipelineRetired | PipelineRetracted


class PipelineUnknown(Refusal):
    """There is no such pipeline."""


class PipelineAlreadyDefined(Refusal):
    """A pipeline with this id was defined before, with other values."""


class PipelineNotActive(Refusal):
    """The pipeline is {status}; only an active one takes new deals and revisions."""


class StageRepeated(Refusal):
    """The stage {stage} is listed twice."""


class StagesIncomplete(Refusal):
    """A pipeline needs an open stage, exactly one won and at least one lost stage."""


class StageProbabilityWrong(Refusal):
    """A {status} stage has probability {expected}; {stage} has {probability}."""


class StageForecastWrong(Refusal):
    """The stage {stage} is {status}, and {forecast_category} is no forecast for that."""


class StageUnknown(Refusal):
    """The pipeline has no stage {stage}."""


class StageNotOpen(Refusal):
    """The stage {stage} is {status}; a deal gets there by being won or lost."""


class StageNotLost(Refusal):
    """The stage {stage} is {status}; a lost deal ends in a lost stage."""


@dataclass(frozen=True, slots=True)
class Pipeline(State[PipelineEvent]):
    """What decisions about a pipeline, and about deals in it, need to know."""

    status: Status = "unknown"
    name: str = ""
    stages: tuple[PipelineStage, ...] = ()
    revision: int = 0
    defined: PipelineDefined | None = None

    def evolve(self, event: PipelineEvent, /) -> Pipeline:
        match event:
            case PipelineDefined():
                return Pipeline("active", event.name, event.stages, event.revision, event)
            case PipelineRevised():
                return replace(self, name=event.name, stages=event.stages, revision=event.revision)
            case PipelineRetired():
                return replace(self, status="retired")
            case PipelineRetracted():
                return Pipeline()
            case _:
                assert_never(event)

    def open_stage(self, key: str | None) -> PipelineStage:
        """The open stage called `key`; without one the first."""
        stage = self._stage(key, "open")
        if stage.status != "open":
            raise StageNotOpen(stage=stage.key, status=stage.status)
        return stage

    def lost_stage(self, key: str | None) -> PipelineStage:
        """The lost stage called `key`; without one the first."""
        stage = self._stage(key, "lost")
        if stage.status != "lost":
            raise StageNotLost(stage=stage.key, status=stage.status)
        return stage

    def won_stage(self) -> PipelineStage:
        """The one stage where deals are won."""
        return self._stage(None, "won")

    def _stage(self, key: str | None, otherwise: StageStatus) -> PipelineStage:
        for stage in self.stages:
            if stage.key == key or (key is None and stage.status == otherwise):
                return stage
        raise StageUnknown(stage=key)
