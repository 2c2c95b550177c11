"""How tables follow from events, in columns."""

from projections.base import Dimension, FactTable
from projections.custom_field import custom_field
from projections.lead import engagement, lead, lead_status_change

DIMENSIONS: tuple[Dimension, ...] = (lead, custom_field)
"""Every dimension: records, each with its history."""

FACTS: tuple[FactTable, ...] = (lead_status_change, engagement)
"""Every fact table: what happened."""
