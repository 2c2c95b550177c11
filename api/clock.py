"""The door to the clock."""

from datetime import UTC, datetime
from uuid import UUID

from api.base import accept, doors
from commands.clock import TickClock
from domain.clock import CLOCK
from eventstore.errors import OccurredInTheFuture

router = doors("clock")


def the_clock(tick: TickClock) -> UUID:
    """The one clock; set ahead it could never be set back."""
    now = datetime.now(UTC)
    if tick.moment > now:
        raise OccurredInTheFuture(tick.moment, now)
    return CLOCK


accept(router, "/tick", TickClock, stream=the_clock)
