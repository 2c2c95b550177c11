"""Who asks: API keys, kept as keyed hashes, and the identity each stands for."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import KeyMissing, KeyUnknown
from eventstore.envelope import uuid7

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from psycopg.rows import DictRow

    from eventstore.workspace import Workspace

PREFIX = "bk_"
TRUSTED_SECONDS = 5.0
"""How long an identity is believed without looking again: a revocation by another process takes
effect within it."""
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

    def __init__(self, workspace: Workspace) -> None:
        if workspace.keys is None:
            raise ValueError("API keys are hashed under the master key; open the workspace with it")
        self._log = workspace.log
        self._keyring = workspace.keys
        self._trusted: OrderedDict[str, tuple[Identity, float]] = OrderedDict()
        self._guard = threading.Lock()

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
        return row is not None

    def recall(self, token: str) -> Identity | None:
        """Whom a key stands for, if that was looked up a moment ago."""
        # Found by the key itself: a hash would cost more here than all the rest of the door.
        identity, until = self._trusted.get(token, (None, 0.0))
        return identity if time.monotonic() < until else None

    def identify(self, token: str) -> Identity | None:
        """Whom a key stands for; None when it is not known, or revoked."""
        with self._log.cursor() as cursor:
            cursor.execute(
                "SELECT actor, personal FROM api_key WHERE hash = %s AND revoked_at IS NULL",
                (self._hash(token),),
            )
            row: DictRow | None = cursor.fetchone()
        if row is None:
            return None
        identity = Identity(**row)
        with self._guard:
            self._trusted[token] = identity, time.monotonic() + TRUSTED_SECONDS
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
