"""What readers see of pipelines."""

from domain.pipeline import (
    Pipeline,
    PipelineDefined,
    PipelineRetired,
    PipelineRetracted,
    PipelineRevised,
)
from projections.base import Dimension, assign, blank, field
from readmodels.units import ordinal

pipeline = Dimension(
    "pipeline",
    of=Pipeline,
    on={
        PipelineDefined: assign(status="active", name=field, stages=field, revision=field),
        PipelineRevised: assign(name=field, stages=field, revision=field),
        PipelineRetired: assign(status="retired"),
        PipelineRetracted: blank(status="retracted"),
    },
    description="Pipelines: the ways of selling, stage by stage.",
    columns={
        "status": "active or retired.",
        "name": "Name of the pipeline.",
        "stages": "Its stages in order: key, name, probability, status, forecast_category.",
        "revision": ordinal("1 for the first definition, and so on."),
    },
)
