"""What tests share: one PostgreSQL per test process, an empty database for every test, and a story.

The story is the first weeks of the demo's company: told once, for all tests that only read it.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from cli.demo.history import history, tell
from eventstore.postgres import EmbeddedPostgres
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from replay.tables import catch_up, open_tables
from tests.databases import drop_databases, empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.tables import Tables

END = datetime(2026, 7, 1, tzinfo=UTC)
FIRST_STEPS = 260

LONGEST = (
    "test_docs test_benchmarks chaos test_renewal test_cli test_imports_crash test_cli_proof "
    "test_learning_process test_publication test_partitions test_beginning"
).split()
"""Files, and a folder, that are begun first: no worker should be left with one at the end."""

# How long an example takes says nothing on a machine that is shared. HYPOTHESIS_PROFILE=thorough
# searches ten times as long.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order what is to be run; needs `--no-loadscope-reorder` where there are several workers."""

    def rank(item: pytest.Item) -> int:
        named = {item.path.stem, item.path.parent.name}
        return next((n for n, name in enumerate(LONGEST) if name in named), len(LONGEST))

    items.sort(key=rank)


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


@pytest.fixture(scope="session")
def first_weeks(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Workspace]:
    """The first weeks of the demo's company; nobody writes another event to it."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("first_weeks"), url) as workspace,
    ):
        with Writer(workspace.log) as writer:
            tell(history(END)[:FIRST_STEPS], writer, lambda _: None)
        yield workspace


@pytest.fixture(scope="session")
def first_tables(first_weeks: Workspace) -> Iterator[Tables]:
    """The tables of these weeks, made in one go from the first event to the last."""
    with closing(open_tables(first_weeks)) as tables:
        catch_up(tables, first_weeks.log, first_weeks.log.last_position())
        yield tables
