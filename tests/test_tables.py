from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from domain.lead import Lead, LeadCaptured
from eventstore.envelope import RecordedEvent
from projections.store import Store
from projections.tables import Tables
from tests.random_log import arrow, dice, random_log, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from random import Random

    import polars as pl

LOG = random_log(seed=3, events=400, streams=40)
SMALL = LOG[:60]


def follow(tables: Tables, log: list[RecordedEvent], sizes: Iterable[int], **how: Any) -> None:
    """Apply what is new of a log, in batches of these sizes."""
    rest = arrow(each for each in log if each.position > tables.taken)
    for size in sizes:
        if not len(rest):
            break
        tables.apply(rest.slice(0, size), **how)
        rest = rest.slice(size)
    tables.settle()


def digests(directory: Path, log: list[RecordedEvent], sizes: Iterable[int], **how: Any) -> Any:
    """The digests of new tables that took a log in batches of these sizes."""
    tables = Tables(directory, unseal())
    follow(tables, log, sizes, **how)
    found = tables.database.digests() | {
        f"{name} by value": digest for name, digest in tables.database.digests(values=True).items()
    }
    tables.close()
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The digests of `LOG` taken in one batch."""
    return digests(tmp_path_factory.mktemp("all"), LOG, [len(LOG)])


@pytest.mark.parametrize("settle", [True, False], ids=["settled", "carried"])
@pytest.mark.parametrize("size", [7, 90])
def test_the_size_of_batches_leaves_no_trace(
    tmp_path: Path, expected: Any, size: int, *, settle: bool
):
    assert digests(tmp_path, LOG, cycle([size]), settle=settle) == expected


def test_one_event_at_a_time_leaves_no_trace(tmp_path: Path):
    one = digests(tmp_path / "one", SMALL, cycle([1]))
    assert one == digests(tmp_path / "all", SMALL, [len(SMALL)])


class Crash(Exception):
    """Pulls the plug."""


def crashing(chance: Random, call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that fails now and then, before or after it took effect."""

    def perhaps(*arguments: Any) -> Any:
        if chance.random() < 0.005:
            raise Crash
        answer = call(*arguments)
        if chance.random() < 0.005:
            raise Crash
        return answer

    return perhaps


@pytest.mark.parametrize(("settle", "seed"), [(True, 0), (False, 1)], ids=["settled", "carried"])
def test_a_crash_at_any_point_leaves_no_trace(
    tmp_path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch, seed: int, *, settle: bool
):
    chance, crashes = dice(seed), 0
    sizes = iter(lambda: chance.choice([5, 40, 90]), None)
    tables = Tables(tmp_path, unseal())
    for _ in range(100):
        with monkeypatch.context() as patch:
            for name in ("append", "delete", "move", "commit"):
                patch.setattr(Store, name, crashing(chance, getattr(Store, name)))
            try:
                follow(tables, LOG, sizes, settle=settle)
            except Crash:
                crashes += 1
                tables.database.close()
                tables = Tables(tmp_path, unseal())
                continue
        break
    assert crashes
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


def test_after_a_crash_in_one_process_the_tables_go_on(tmp_path: Path, expected: Any):
    tables = Tables(tmp_path, unseal())
    follow(tables, LOG[:100], [100])
    with pytest.raises(KeyError):
        tables.apply(pa.table({"position": [10**9]}))
    tables.apply(arrow(LOG[100:200]), settle=False)
    with pytest.raises(KeyError):
        tables.apply(pa.table({"position": [10**9]}))
    assert (tables.position, tables.taken) == (LOG[99].position, LOG[99].position)
    follow(tables, LOG, cycle([64]))
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


SCRIPT = """
import json, sys
from pathlib import Path
from tests.random_log import dice, random_log
from tests.test_tables import digests
print(json.dumps(digests(Path(sys.argv[1]), random_log(seed=3, events=150, streams=20), [40, 110])))
"""


def test_the_hash_seed_of_python_leaves_no_trace(tmp_path: Path):
    found = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "77")
    ]
    assert json.loads(found[0])
    assert len(set(found)) == 1


def test_what_was_taken_is_taken_once(tmp_path: Path, expected: Any):
    tables = Tables(tmp_path, unseal())
    for begin in range(0, len(LOG), 50):
        tables.apply(arrow(LOG[max(0, begin - 70) : begin + 50]))
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


OPENED = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('FROM lead').fetchone())"


def test_closed_files_are_free_for_another_process(tmp_path: Path):
    tables = Tables(tmp_path, unseal())
    follow(tables, SMALL, [len(SMALL)])
    command = [sys.executable, "-c", OPENED, str(tables.paths[0])]
    assert b"lock" in subprocess.run(command, capture_output=True, check=False).stderr
    tables.close()
    assert subprocess.run(command, capture_output=True, check=True).stdout


def test_personal_tables_catch_up_when_keys_come_later(tmp_path: Path, expected: Any):
    without = Tables(tmp_path)
    follow(without, LOG[:200], [200])
    assert not without.database.has_personal
    assert not without.paths[1].exists()
    without.close()
    tables = Tables(tmp_path, unseal())
    assert tables.position == 0
    follow(tables, LOG, cycle([60]))
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


def test_a_forgotten_person_has_no_values_and_the_digests_stay(tmp_path: Path, expected: Any):
    leads = [each for each in LOG if isinstance(each.event, LeadCaptured)]
    tables = Tables(tmp_path, unseal(leads[0].stream_id))
    follow(tables, LOG, cycle([100]))
    rows = tables.database.query(
        "SELECT name, digest FROM lead_personal_history WHERE id = ?",
        [str(leads[0].stream_id)],
        personal=True,
    )
    assert len(rows) >= 1
    assert rows["name"].null_count() == len(rows)
    assert any(digest["name"] is not None for digest in rows["digest"])
    others = tables.database.query("FROM lead_personal WHERE name IS NOT NULL", personal=True)
    last = {
        each.stream_id: each.event.type
        for each in LOG
        if ".captured." in each.event.type or ".retracted." in each.event.type
    }
    here = {lead.stream_id for lead in leads if ".captured." in last[lead.stream_id]}
    assert len(others) == len(here - {leads[0].stream_id})
    assert tables.poisoned == 0
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE stored.lead_past SET source = source || ' ' WHERE rowid = 0",
        "UPDATE stored.deal_current SET amount = amount + 0.01 WHERE rowid = 0",
        (
            "UPDATE stored.event SET recorded_at = recorded_at + INTERVAL 1 microsecond "
            "WHERE rowid = 3"
        ),
        "DELETE FROM stored.deal_past WHERE rowid = 0",
        "INSERT INTO stored.score_change FROM stored.score_change LIMIT 1",
        "UPDATE stored.lead_current SET status = NULL WHERE status IS NOT NULL",
        "UPDATE stored.score_change SET value = value - 1.2e-16 WHERE value > 0.5",
    ],
)
def test_a_digest_sees_one_changed_cell(tmp_path: Path, expected: Any, change: str):
    tables = Tables(tmp_path, unseal())
    follow(tables, LOG, [len(LOG)])
    with tables.database.connection() as connection:
        [(changed,)] = connection.execute(change).fetchall()
    found = tables.database.digests()
    tables.close()
    assert changed > 0
    name = (
        change.split("stored.")[1]
        .split(maxsplit=1)[0]
        .removesuffix("_past")
        .removesuffix("_current")
    )
    assert {table for table in found if found[table] != expected[table]} == {name}


def test_a_stream_that_begins_in_a_batch_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    captured = random_log(seed=4, events=30, of=[Lead], streams=30)
    first = [each for each in captured if each.version == 1]
    sought: list[str] = []
    tables = Tables(tmp_path, unseal())
    tables.apply(arrow(first[: len(first) // 2]))
    find = Store.find

    def seek(self: Store, part: str, keys: pl.DataFrame) -> pl.DataFrame:
        sought.append(part)
        return find(self, part, keys)

    monkeypatch.setattr(Store, "find", seek)
    tables.apply(arrow(first[len(first) // 2 :]))
    assert sought == []
    later = random_log(seed=4, events=90, of=[Lead], streams=30)[len(captured) :]
    tables.apply(arrow(each for each in later if each.version == 2))
    assert "lead_current" in sought
    tables.close()
