"""Doors to learners: how good they are at what they foresee."""

from api.answers import answer
from api.base import doors
from readmodels.learner import learner_calibration, learner_performance, learner_progress

router = doors("learners")

answer(router, "/performance", learner_performance)
answer(router, "/calibration", learner_calibration)
answer(router, "/progress", learner_progress)
