"""Doors to subjects: who was forgotten, and what has to be kept."""

from api.answers import answer, show
from api.base import doors
from projections.subject import legal_hold, subject
from readmodels.query import records

router = doors("subjects")

answer(router, "/legal-holds", records(legal_hold.shapes[0].table)[0])
show(router, subject)
