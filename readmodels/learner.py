"""Questions about learners, and how good they are: their SQL is in learner.sql."""

from __future__ import annotations

from domain.values import Moment
from readmodels.query import report
from readmodels.units import count, nats, ordinal, share

QUALITY = {
    "outcomes": count("Outcomes it is judged by."),
    "base_rate": share("How often what it foresees happens at all, 0 to 1."),
    "auc": share("How likely a case that happened stood above one that did not, 0 to 1."),
    "log_loss": nats("How surprised it was by what came, on average; 0 is never."),
    "brier": share("How far off its probabilities were, squared, on average: 0 to 1."),
}

learner_performance = report(
    "learner_performance",
    since=Moment | None,
    columns={
        "learner": "Who foresees, such as lead_conversion.",
        **QUALITY,
        "calibration_error": share("How far off its probabilities are in a tenth, on average."),
    },
)

learner_calibration = report(
    "learner_calibration",
    since=Moment | None,
    columns={
        "learner": "Who foresees, such as lead_conversion.",
        "bin": ordinal("The tenth of the scale: 0 for probabilities below 0.1, and so on to 9."),
        "outcomes": count("Outcomes that were foreseen within it."),
        "foreseen": share("The probability foreseen, on average, 0 to 1."),
        "happened": share("The share of them that came true, 0 to 1."),
    },
)

learner_progress = report(
    "learner_progress",
    columns={
        "learner": "Who foresees, such as lead_conversion.",
        "part": ordinal("1 for the first tenth of what was learned, and so on to 10."),
        "since": "When its first outcome happened.",
        "until": "When its last outcome happened.",
        **QUALITY,
    },
)
