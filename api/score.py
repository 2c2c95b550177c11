"""Doors to scores: what learners say, and why."""

from api.answers import answer, show
from api.base import doors
from projections.score import score
from readmodels.score import score_explained

router = doors("scores")

answer(router, "/explained", score_explained)
show(router, score)
