"""Doors to import runs."""

from api.answers import show
from api.base import doors
from projections.import_run import import_run

router = doors("import-runs")

show(router, import_run)
