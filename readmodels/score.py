"""Questions about scores, and why they are what they are: their SQL is in score.sql."""

from __future__ import annotations

from uuid import UUID

from readmodels.query import report
from readmodels.units import log_odds, ordinal, share

score_explained = report(
    "score_explained",
    where={"learner": str | None, "subject_type": str | None, "subject_id": UUID | None},
    columns={
        "learner": "Who foresees, such as lead_conversion.",
        "subject_type": "The kind of record, such as lead.",
        "subject_id": "The record.",
        "occurred_at": "When the event happened that was scored.",
        "position": ordinal("Position of the score in the log."),
        "cause_position": ordinal("Position of the event that was scored."),
        "model_version": "The version of the model that said so.",
        "value": share("The probability foreseen, 0 to 1."),
        "previous_value": share("What was foreseen before, 0 to 1; null: nothing."),
        "input": "What the model looked at.",
        "says": "What that said.",
        "said_before": "What it said at the score before.",
        "changed": "Whether it says something else than before.",
        "log_odds": log_odds("What it gave; those of all inputs add up to the score's."),
        "log_odds_before": log_odds("What it gave in the score before."),
        "moved": log_odds("The difference; those of all inputs add up to how far the score moved."),
    },
)
