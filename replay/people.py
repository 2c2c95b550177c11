"""People: the names behind the ids of users."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from domain.base import fold
from domain.user import MODELS, SYSTEM, User
from replay.base import ReplayError, StreamUnknown, find_stream

if TYPE_CHECKING:
    from eventstore.log import Log


class UserUnknown(ReplayError):
    """There is no such user."""


class People:
    """Names of users, for those who may read them."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._known: dict[UUID, str | None] = {SYSTEM: "system", MODELS: "models"}

    def name(self, user_id: UUID) -> str | None:
        """The name of a user; None when the id belongs to none."""
        if user_id not in self._known:
            user = find(self.log, user_id)
            self._known[user_id] = str(user.name) if user else None
        return self._known[user_id]


def find(log: Log, user_id: UUID) -> User | None:
    """The user with an id."""
    events = log.read_stream(user_id)
    if not events or log.state_of(events[0].event) is not User:
        return None
    return fold(User(), (recorded.event for recorded in events))


def find_user(log: Log, text: str) -> UUID:
    """The user with this e-mail address, handle or id, or the only one whose id begins so."""
    if log.keys is not None:
        value = text.strip().casefold()
        hashes = [log.keys.keyed_hash(kind, value) for kind in ("user.email", "user.handle")]
        with log.cursor() as cursor:
            cursor.execute(
                "SELECT stream_id FROM reservation WHERE hash = ANY(%s) AND freed_position IS NULL",
                (hashes,),
            )
            row = cursor.fetchone()
        if row:
            return UUID(str(row["stream_id"]))
    try:
        found = find_stream(log, text)
    except StreamUnknown:
        found = None
    if found is None or find(log, found) is None:
        raise UserUnknown(f"there is no user {text!r}: give an id, an e-mail address or a handle")
    return found
