"""Online models: a learner folds the log into weights and appends what it foresees."""

from __future__ import annotations

from learning.base import Learner
from learning.customer_health import CustomerHealth
from learning.lead_conversion import LeadConversion

LEARNERS: tuple[type[Learner], ...] = (LeadConversion, CustomerHealth)
"""Every learner, in the order in which they speak."""
