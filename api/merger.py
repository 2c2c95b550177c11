"""Doors to mergers."""

from api.answers import answer
from api.base import doors
from readmodels.merger import records_merged

router = doors("mergers")

answer(router, "", records_merged)
