"""Doors to pipelines."""

from api.answers import answer, show
from api.base import accept, doors
from commands.pipeline import DefinePipeline, RetirePipeline, RetractPipeline, RevisePipeline
from projections.pipeline import pipeline
from readmodels.pipeline import pipeline_stages, stage_duration_summary, stage_durations

router = doors("pipelines")

answer(router, "/stages", pipeline_stages)
answer(router, "/stage-durations", stage_durations)
answer(router, "/stage-duration-summary", stage_duration_summary)
show(router, pipeline)

accept(router, "/{id}/define", DefinePipeline)
accept(router, "/{id}/revise", RevisePipeline)
accept(router, "/{id}/retire", RetirePipeline)
accept(router, "/{id}/retract", RetractPipeline)
