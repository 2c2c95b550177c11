"""What readers see of scores."""

from domain.score import OutcomeLearned, Score, ScoreRecorded
from projections.base import Dimension, FactTable, assign, envelope, field, row
from readmodels.units import ordinal, share

score = Dimension(
    "score",
    of=Score,
    on={
        ScoreRecorded: assign(
            learner=field,
            subject_type=field,
            subject_id=field,
            value=field,
            model_version=field,
            cause_position=field,
            scored_at=envelope.effective_at,
        ),
        OutcomeLearned: assign(
            learner=field,
            subject_type=field,
            subject_id=field,
            outcome=field,
            cause_position=field,
        ),
    },
    description="Scores: what each learner foresees for each record; score_change has from what.",
    columns={
        "learner": "Who foresees, such as LeadConversion.",
        "subject_type": "The kind of record, such as lead.",
        "subject_id": "The record.",
        "value": share("The probability foreseen, 0 to 1."),
        "model_version": "The version of the model that said so.",
        "cause_position": ordinal("Position of the event that was scored, or told the outcome."),
        "scored_at": "When it was said.",
        "outcome": "What came of it, once known.",
    },
)

score_change = FactTable(
    "score_change",
    on={
        ScoreRecorded: row(
            learner=field,
            subject_type=field,
            subject_id=field,
            value=field,
            model_version=field,
            inputs=field,
            contributions=field,
            cause_position=field,
        ),
    },
    description="Scores as they were given.",
    columns={
        "learner": "Who foresees, such as LeadConversion.",
        "subject_type": "The kind of record, such as lead.",
        "subject_id": "The record.",
        "value": share("The probability foreseen, 0 to 1."),
        "model_version": "The version of the model that said so.",
        "inputs": "What the model looked at, as one object.",
        "contributions": "What each input added, in log-odds, as one object; they add up.",
        "cause_position": ordinal("Position of the event that was scored."),
    },
)

score_outcome = FactTable(
    "score_outcome",
    on={
        OutcomeLearned: row(
            learner=field,
            subject_type=field,
            subject_id=field,
            outcome=field,
            predicted=field,
            cause_position=field,
        ),
    },
    description="Outcomes as learners came to know them, beside what they had foreseen.",
    columns={
        "learner": "Who foresaw, such as LeadConversion.",
        "subject_type": "The kind of record, such as lead.",
        "subject_id": "The record.",
        "outcome": "Whether it came true.",
        "predicted": share("What was foreseen before the outcome was learned, 0 to 1."),
        "cause_position": ordinal("Position of the event that told the outcome."),
    },
)
