"""What runs beside the server: the learners' process, the clock; and the first key of all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from api.process import Background, Process
from commands.base import handle
from commands.clock import TickClock
from commands.policies import Retention
from commands.user import RegisterUser
from domain.base import Refusal
from domain.clock import CLOCK
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.errors import EventStoreError
from eventstore.writer import Context
from replay.people import UserUnknown, find_user

if TYPE_CHECKING:
    from pathlib import Path

    from api.node import Node

HANDLE = "admin"
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 1.0

log = structlog.get_logger()


class Learners(Process):
    """The process of the learners."""

    def __init__(self, directory: Path, database_url: str) -> None:
        super().__init__("learners", directory, database_url, "learning", "--data", ".")


class Ticker(Background):
    """Says every hour in the log that it has struck."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def run(self) -> None:
        """See `Background`."""
        while not self.stopping.is_set():
            hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            context = Context(actor=SYSTEM, correlation_id=uuid7(), occurred_at=hour)
            try:
                ticked = handle(self._node.writer, TickClock(moment=hour), CLOCK, context)
                ticked.result(ANSWER_SECONDS)
            except (Refusal, EventStoreError, TimeoutError) as error:
                log.warning("clock did not tick", error=str(error))
            left = hour + timedelta(hours=1) - datetime.now(UTC)
            self.stopping.wait(max(left.total_seconds(), 1.0))


class Policies(Background):
    """Does by itself what follows from events, soon after them."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._retention = Retention(node.workspace.log, node.writer)

    def run(self) -> None:
        """See `Background`."""
        while not self.stopping.wait(LOOK_SECONDS):
            try:
                self._retention.turn()
            except (EventStoreError, TimeoutError) as error:
                log.warning("policy interrupted", error=str(error))


def first_key(node: Node) -> str | None:
    """A key for the first user of a workspace that has no keys yet; None when it has."""
    if node.api_keys.list():
        return None
    try:
        user = find_user(node.workspace.log, HANDLE)
    except UserUnknown:
        user = uuid7()
        register = RegisterUser(name="Administrator", handle=HANDLE, team="Administration")
        context = Context(actor=SYSTEM, correlation_id=uuid7())
        handle(node.writer, register, user, context).result(ANSWER_SECONDS)
    return node.api_keys.create(user, "first key", personal=True)
