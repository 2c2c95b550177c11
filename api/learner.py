"""Doors to learners: how good they are at what they foresee."""

from api.answers import answer
from api.base import doors
from readmodels.query import report

router = doors("learners")

answer(router, "/performance", report("learner_performance"))
answer(router, "/calibration", report("learner_calibration"))
answer(router, "/progress", report("learner_progress"))
