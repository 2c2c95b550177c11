"""What readers see of the clock."""

from domain.clock import Clock, ClockTicked
from projections.base import Dimension, assign, field

clock = Dimension(
    "clock",
    of=Clock,
    on={ClockTicked: assign(moment=field)},
    description="The clock: how time passes for policies and learners.",
    columns={"moment": "The last hour that was struck."},
)
