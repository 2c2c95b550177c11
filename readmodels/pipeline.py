"""Questions about pipelines and their stages: their SQL is in pipeline.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.units import count, days, money, ordinal, share

pipeline_stages = report(
    "pipeline_stages",
    where={"pipeline_id": UUID, "stage_status": str},
    columns={
        "pipeline_id": "The pipeline.",
        "pipeline": "Its name.",
        "stage_number": ordinal("Where in the pipeline the stage stands, from 1."),
        "stage": "Key of the stage.",
        "stage_name": "Name of the stage.",
        "stage_status": "What a deal in it is: open, won or lost.",
        "probability": share("How likely it makes a sale, 0 to 1, for deals that come in now."),
        "forecast_category": "pipeline, best_case, commit, closed or omitted.",
    },
)

deal_pipeline = report(
    "deal_pipeline",
    where={"pipeline_id": UUID, "stage": str, "currency": str},
    columns={
        "pipeline": "Name of the pipeline.",
        "stage_name": "Name of the stage; null if the pipeline has it no more.",
        "stage": "Key of the stage.",
        "currency": "Currency of the amounts, ISO 4217.",
        "deals": count("Open deals in the stage."),
        "amount": money("What they are worth together."),
        "expected": money("The same, each times its probability."),
        "mean_days_in_stage": days("How long they have been there, on average."),
        "pipeline_id": "The pipeline.",
        "stage_number": ordinal("Where in the pipeline the stage stands, from 1."),
    },
)

stage_durations = report(
    "stage_durations",
    where={"deal_id": UUID, "pipeline_id": UUID, "stage": str},
    columns={
        "deal_id": "The deal.",
        "pipeline_id": "Its pipeline.",
        "stage": "Key of the stage.",
        "stays": count("How often the deal came into the stage."),
        "first_entered_at": "When it first did.",
        "last_exited_at": "When it last left; null while it is there.",
        "latest_days": days("How long the last stay took, or has taken so far."),
        "cumulative_days": days("How long all stays together took."),
    },
)

stage_duration_summary = report(
    "stage_duration_summary",
    where={"pipeline_id": UUID},
    columns={
        "pipeline": "Name of the pipeline.",
        "stage": "Key of the stage.",
        "deals": count("Deals that were ever there."),
        "deals_there": count("Those that are there."),
        "deals_returned": count("Those that came into it more than once."),
        "mean_days": days("How long deals stand there, on average."),
        "median_days": days("How long half of the deals stand there at most."),
        "p90_days": days("How long nine in ten stand there at most."),
        "pipeline_id": "The pipeline.",
        "stage_number": ordinal("Where in the pipeline the stage stands, from 1."),
    },
)
