"""Empty databases for tests: emptied after use and lent again, which is sooner done than made."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from eventstore.postgres import with_database

if TYPE_CHECKING:
    from collections.abc import Iterator

SPARE: defaultdict[str, list[str]] = defaultdict(list)
"""URLs of databases that nobody uses just now, by that of their server."""


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database on a server."""
    url = SPARE[server_url].pop() if SPARE[server_url] else _make(server_url)
    yield url
    _empty(url)
    SPARE[server_url].append(url)


def drop_databases(server_url: str) -> None:
    """Leave nothing behind on a server."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        for url in SPARE.pop(server_url, ()):
            name = Identifier(urlsplit(url).path.removeprefix("/"))
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _make(server_url: str) -> str:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return with_database(server_url, name)


def _empty(url: str) -> None:
    """End every other session, then take away every schema with all that is in it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        schemas = connection.execute(
            r"SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' "
            "AND nspname NOT IN ('information_schema', 'public')"
        ).fetchall()
        for (name,) in [*schemas, ("public",)]:
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))
        connection.execute("CREATE SCHEMA public")
