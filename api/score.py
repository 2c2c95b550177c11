"""Doors to scores: what learners say, and why."""

from api.answers import answer, show
from api.base import doors
from projections.score import score
from readmodels.query import report

router = doors("scores")

answer(router, "/explained", report("score_explained"))
show(router, score)
