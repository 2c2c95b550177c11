"""What tests share: one PostgreSQL per test process, and an empty database for every test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from eventstore.postgres import EmbeddedPostgres
from eventstore.workspace import Workspace
from tests.databases import drop_databases, empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says nothing on a machine that is shared. HYPOTHESIS_PROFILE=thorough
# searches ten times as long.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


@pytest.fixture(autouse=True)
def _log_lines_of_their_own() -> None:
    """Verbs that were run in this process before may have said which lines they want."""
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A server where databases may be made: BACKSTORY_DATABASE_URL, or one of our own.

    Ours does not wait for the disk: what is lost if the machine itself fails is tested by nobody,
    and to make and drop a database for each test takes a tenth of the time. Tests that kill or
    starve a server have their own, as it ships.
    """
    if url := os.environ.get("BACKSTORY_DATABASE_URL"):
        yield url
        drop_databases(url)
        return
    with (
        tempfile.TemporaryDirectory(prefix="backstory-test-") as directory,
        EmbeddedPostgres(Path(directory)) as server,
    ):
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET full_page_writes = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database."""
    with empty_database(postgres_url) as url:
        yield url


@pytest.fixture
def workspace(tmp_path: Path, database_url: str) -> Iterator[Workspace]:
    """An empty workspace with its own database."""
    with Workspace.open(tmp_path, database_url) as opened:
        yield opened
