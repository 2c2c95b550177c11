"""`kill -9` of the publisher of a lake: what readers see is whole, and of one position."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import pytest

from projections.tables import Tables
from readmodels.digest import digest
from replay.lake import LAKE, open_lake
from replay.tables import tables_in
from tests.chaos.effort import KILLS, chance
from tests.databases import empty_database

if TYPE_CHECKING:
    from pathlib import Path

    from eventstore.workspace import Workspace

SCHEMA = "lake_of_a_test"
STEP = 40
WITHIN_SECONDS = 1.0
"""A publisher lives so long at most, once it is ready; then the next one goes on."""


def publisher(directory: Path, url: str, lake_url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.publishing_lake", str(directory), url, lake_url]
    return subprocess.Popen([*command, SCHEMA, str(STEP)], stdout=subprocess.PIPE, text=True)


def seen(lake_url: str) -> tuple[int, dict[str, str]]:
    """The position a reader sees, and the digests of all tables."""
    with open_lake(lake_url, SCHEMA) as lake:
        lake.begin()
        [(position,)] = lake.execute(
            f"SELECT coalesce(max(notification_id), 0) FROM {LAKE}.stored.bookmark"
        ).fetchall()
        return position, {
            table.name: digest(lake, LAKE, table, values=False) for table in tables_in("main")
        }


@pytest.mark.timeout(120 + 30 * KILLS)
def test_a_publisher_killed_again_and_again_leaves_a_lake_that_is_whole(
    first_weeks: Workspace, first_tables: Tables, postgres_url: str, tmp_path: Path
):
    dice, said = chance("lake"), 0

    @cache
    def expected(position: int) -> dict[str, str]:
        with closing(Tables(tmp_path / f"as-of-{position}")) as then:
            then.copy(first_tables, known_at=position)
            return then.digests()

    with empty_database(postgres_url) as lake_url:
        for _ in range(max(2, KILLS // 3)):
            with publisher(tmp_path, first_weeks.database_url, lake_url) as killed:
                assert killed.stdout.readline() == "ready\n"
                if not said:
                    said = int(killed.stdout.readline())
                time.sleep(dice.uniform(0, WITHIN_SECONDS))
                killed.kill()
                said = max(said, *map(int, killed.stdout.read().split()), 0)
            position, found = seen(lake_url)
            assert position >= said  # what it said it had published is there
            assert found == expected(position)
        with publisher(tmp_path, first_weeks.database_url, lake_url) as last:
            last.communicate()
        position, found = seen(lake_url)
        assert position == first_weeks.log.last_position()
        assert found == expected(position)
