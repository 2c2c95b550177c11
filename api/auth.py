"""Who asks: API keys, kept as keyed hashes, and the identity each stands for."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import KeyMissing, KeyUnknown
from eventstore.envelope import uuid7
from eventstore.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from psycopg.rows import DictRow

    from eventstore.workspace import Workspace

PREFIX = "bk_"
TRUSTED_SECONDS = 5.0
"""How long an identity is believed without looking again: a revocation by another process takes
effect within it. A key in use is looked up anew after half of that time, while it is still
believed: otherwise all who are under way with it would have to wait for that at once."""
CACHED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: all that is known of it; the key itself is not."""

    id: UUID
    actor: UUID
    label: str
    personal: bool
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and whether personal values may be shown."""

    actor: UUID
    personal: bool


class ApiKeys:
    """The API keys of a workspace. Safe to use from several threads.

    A key is found by its keyed hash, so that no comparison tells how much of a guess was right,
    and what the database holds opens nothing.
    """

    def __init__(self, workspace: Workspace, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is in seconds."""
        if workspace.keys is None:
            raise ValueError("API keys are hashed under the master key; open the workspace with it")
        self._log = workspace.log
        self._keyring = workspace.keys
        self._trusted: OrderedDict[str, tuple[Identity, float]] = OrderedDict()
        self._guard = threading.Lock()
        self._now = now
        self._renewals = ThreadPoolExecutor(1, "api keys")
        self._renewing: set[str] = set()
        self._revocations = 0

    def create(self, actor: UUID, label: str = "", *, personal: bool = True) -> str:
        """A new key for a user. It is shown this once: only its hash is kept."""
        token = PREFIX + secrets.token_urlsafe(32)
        with self._log.cursor() as cursor:
            cursor.execute(
                "INSERT INTO api_key (hash, id, actor, label, personal) "
                "VALUES (%s, %s, %s, %s, %s)",
                (self._hash(token), uuid7(), actor, label, personal),
            )
        return token

    def list(self) -> tuple[ApiKey, ...]:
        """Every key there ever was, in the order they were made."""
        with self._log.cursor() as cursor:
            cursor.execute(
                "SELECT id, actor, label, personal, created_at, revoked_at FROM api_key "
                "ORDER BY created_at, id"
            )
            return tuple(ApiKey(**row) for row in cursor.fetchall())

    def revoke(self, id: UUID) -> bool:
        """End a key; False when there is none with this id that was still good."""
        with self._log.cursor() as cursor:
            cursor.execute(
                "UPDATE api_key SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL "
                "RETURNING id",
                (id,),
            )
            row = cursor.fetchone()
        with self._guard:
            self._trusted.clear()
            self._revocations += 1
        return row is not None

    def recall(self, token: str) -> Identity | None:
        """Whom a key stands for, if that was looked up a moment ago."""
        # Found by the key itself: a hash would cost more here than all the rest of the door.
        identity, until = self._trusted.get(token, (None, 0.0))
        left = until - self._now()
        if left < TRUSTED_SECONDS / 2:
            if left <= 0.0:
                return None
            self._renew(token)
        return identity

    def _renew(self, token: str) -> None:
        """Look a key up before it is believed no longer."""
        with self._guard:
            if token in self._renewing:
                return
            self._renewing.add(token)
        self._renewals.submit(self._look_again, token)

    def _look_again(self, token: str) -> None:
        try:
            self.identify(token)
        except Unavailable:
            pass  # who comes when it is believed no longer is told so
        finally:
            with self._guard:
                self._renewing.discard(token)

    def identify(self, token: str) -> Identity | None:
        """Whom a key stands for; None when it is not known, or revoked."""
        began, revocations = self._now(), self._revocations
        with self._log.cursor() as cursor:
            cursor.execute(
                "SELECT actor, personal FROM api_key WHERE hash = %s AND revoked_at IS NULL",
                (self._hash(token),),
            )
            row: DictRow | None = cursor.fetchone()
        identity = None if row is None else Identity(**row)
        with self._guard:
            if identity is None:
                self._trusted.pop(token, None)
                return None
            if revocations == self._revocations:  # or it may have been looked up just before one
                self._trusted[token] = identity, began + TRUSTED_SECONDS
            while len(self._trusted) > CACHED_MAX:
                self._trusted.popitem(last=False)
        return identity

    def _hash(self, token: str) -> bytes:
        return self._keyring.keyed_hash("api_key", token)


bearer = HTTPBearer(
    scheme_name="API key",
    bearerFormat=f"{PREFIX}...",
    description="Made with `backstory key create --actor USER`.",
    auto_error=False,
)


async def identified(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Identity:
    """The identity behind the API key of a request."""
    if credentials is None:
        raise KeyMissing
    keys: ApiKeys = request.app.state.node.api_keys
    token = credentials.credentials
    identity = keys.recall(token) or await to_thread.run_sync(keys.identify, token)
    if identity is None:
        raise KeyUnknown
    return identity


Caller = Annotated[Identity, Depends(identified)]
