"""A score remembers what was said last, and what came of it."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from domain.base import fold
from domain.score import OutcomeLearned, Score, ScoreRecorded, score_id

ANN = UUID("00000000-0000-4000-8000-000000000001")
BOB = UUID("00000000-0000-4000-8000-000000000002")
SAID = ScoreRecorded(
    learner="lead_conversion",
    subject_type="lead",
    subject_id=ANN,
    value=0.25,
    model_version="1",
    inputs={"source": "website", "engagements": 3.0, "has_phone": True, "country": None},
    contributions={"intercept": -1.1, "source": 0.0},
    cause_position=12,
)
LEARNED = OutcomeLearned(
    learner="lead_conversion",
    subject_type="lead",
    subject_id=ANN,
    outcome=True,
    predicted=0.25,
    cause_position=40,
)


def test_a_subject_has_one_stream_per_learner():
    assert score_id("lead_conversion", ANN) == score_id("lead_conversion", ANN)
    assert score_id("lead_conversion", ANN) != score_id("lead_conversion", BOB)
    assert score_id("lead_conversion", ANN) != score_id("customer_health", ANN)


def test_the_last_score_counts():
    later = SAID.model_copy(update={"value": 0.5, "model_version": "2", "cause_position": 20})
    assert fold(Score(), [SAID, later]) == Score(
        value=0.5, model_version="2", scored=2, cause_position=20
    )


def test_an_outcome_leaves_the_score_as_it_was_said():
    score = fold(Score(), [SAID, LEARNED])
    assert (score.value, score.outcome, score.scored) == (0.25, True, 1)
    assert score.cause_position == 40


def test_inputs_keep_their_types_in_the_log():
    again = ScoreRecorded.model_validate_json(SAID.model_dump_json())
    assert again == SAID
    assert again.inputs["has_phone"] is True
    assert isinstance(again.inputs["engagements"], float)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_score_is_a_probability(value):
    with pytest.raises(ValidationError):
        ScoreRecorded(**dict(SAID) | {"value": value})


def test_contributions_are_finite():
    with pytest.raises(ValidationError):
        ScoreRecorded(**dict(SAID) | {"contributions": {"intercept": float("nan")}})
