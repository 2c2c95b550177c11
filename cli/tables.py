"""The tables as a verb gets at them: open in this process, or asked of the server that has them."""

from __future__ import annotations

import io
import time
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import httpx
import polars as pl

from cli.session import SessionError
from readmodels.question import Unanswerable
from replay.partitions import build_in_parts
from replay.rebuild import Build, Rebuilt, build, open_renewed, rebuild, rolled_back, take
from replay.tables import Here, Kept, Progress, Standing, catch_up, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.session import Live, Session
    from eventstore.log import Log
    from replay.backup import Backup
    from replay.base import Bounds

SECONDS_MAX = 600.0
POSITION = "X-Position"


class Refused(Exception):
    """What was asked of the tables is not to be had; the message says why."""


class ServerFailed(SessionError):
    """The server could not answer."""


class Asked(Kept, Protocol):
    """Tables, wherever they are open."""

    def sql(self, sql: str, within: Bounds) -> pl.DataFrame:
        """The answer to a SELECT, at a moment; all that the log held when asked counts."""

    def catalog(self, name: str) -> dict[str, Any]:
        """What the catalogue says of a name; all of it, when there is none."""


class Mine(Here):
    """Tables open in this process."""

    def sql(self, sql: str, within: Bounds) -> pl.DataFrame:
        """See `Asked`."""
        try:
            return self.database.sql_as_of(
                sql,
                as_of=within.as_of,
                known_at=within.known_at,
                personal=self.database.has_personal,
                seconds=SECONDS_MAX,
            )
        except (duckdb.Error, Unanswerable) as error:
            raise Refused(str(error)) from None

    def catalog(self, name: str) -> dict[str, Any]:
        """See `Asked`."""
        from readmodels.catalog import NotInCatalog, catalog  # the parser behind it is slow to load

        found = catalog(self.database)
        try:
            return asdict(found.find(name)) if name else found.document()
        except NotInCatalog as error:
            raise Refused(str(error)) from None


class Theirs:
    """Tables open in the server."""

    def __init__(self, live: Live, log: Log) -> None:
        self._log = log
        self._client = httpx.Client(
            base_url=f"{live.url}/local",
            headers={"Authorization": f"Bearer {live.token}"},
            timeout=SECONDS_MAX,
            trust_env=False,  # a proxy has no business between this machine and itself
        )

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()

    def sql(self, sql: str, within: Bounds) -> pl.DataFrame:
        """See `Asked`."""
        as_of = within.as_of.isoformat() if within.as_of else None
        asked = {"sql": sql, "as_of": as_of, "known_at": within.known_at}
        asked["min_position"] = self._log.last_position()
        return _frame(self._ask("POST", "/sql", json=asked))

    def catalog(self, name: str) -> dict[str, Any]:
        """See `Asked`."""
        found: dict[str, Any] = self._ask("GET", "/catalog", params={"name": name}).json()
        return found

    def standing(self) -> Standing:
        """See `Kept`."""
        return Standing(**self._ask("GET", "/standing").json())

    def rows(self, table: str) -> tuple[int, pl.DataFrame]:
        """See `Kept`."""
        reply = self._ask("GET", f"/tables/{table}")
        return int(reply.headers[POSITION]), _frame(reply)

    def turn_to(self, generation: Path) -> Rebuilt:
        """Have the server answer from rebuilt tables."""
        return Rebuilt(**self._ask("POST", f"/generations/{generation.name}").json())

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            reply = self._client.request(method, path, **more)
        except httpx.TransportError as error:
            raise ServerFailed(f"the server does not answer: {error}") from None
        if reply.is_client_error:
            raise Refused(reply.json()["detail"])
        if reply.is_server_error:
            raise ServerFailed(f"the server failed: {reply.text}")
        return reply


def _frame(reply: httpx.Response) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(reply.content))


@contextmanager
def tables(
    session: Session, *, current: bool = True, progress: Progress = unseen
) -> Iterator[Asked]:
    """The tables of a session; where no server keeps them `current`, they catch up first."""
    log = session.workspace.log
    if session.live:
        with closing(Theirs(session.live, log)) as theirs:
            yield theirs
        return
    with closing(open_renewed(session.workspace, progress)) as mine:
        if current or not mine.position:
            catch_up(mine, log, log.last_position(), progress)
        yield Mine(mine.database)


def rebuilt(
    session: Session,
    progress: Progress = unseen,
    *,
    parts: int = 1,
    backup: Backup | None = None,
) -> Rebuilt:
    """Rebuild the tables; a server that has them answers from the old ones meanwhile."""
    make: Build = partial(build, backup=backup)
    if parts > 1:
        make = partial(build_in_parts, parts=parts)
    if session.live is None:
        return rebuild(session.workspace, progress, make)
    began = time.monotonic()
    done = _turned(session, make(session.workspace, progress))
    return replace(done, seconds=round(time.monotonic() - began, 3))


def turned_back(session: Session, progress: Progress = unseen) -> Rebuilt:
    """Put the tables from before the last rebuild in the place of those of now."""
    began = time.monotonic()
    done = _turned(session, rolled_back(session.workspace, progress))
    return replace(done, seconds=round(time.monotonic() - began, 3))


def _turned(session: Session, generation: Path) -> Rebuilt:
    if session.live is None:
        return take(session.workspace, generation)
    with closing(Theirs(session.live, session.workspace.log)) as theirs:
        return theirs.turn_to(generation)
