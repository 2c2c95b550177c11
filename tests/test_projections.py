from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain import AGGREGATES
from domain.base import aggregate_of, fold
from projections import DIMENSIONS, FACTS
from projections.tables import Tables
from tests.declared import dated, plain, tell
from tests.random_log import arrow, dice, random_log, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore.envelope import RecordedEvent
    from projections.base import Dimension
    from readmodels.base import Database

LOG = random_log(seed=3, events=1000, streams=90)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    """The tables of `LOG`, taken in batches of all sizes."""
    tables = Tables(tmp_path_factory.mktemp("tables"), unseal())
    chance = dice(2)
    follow(tables, LOG, iter(lambda: chance.choice([1, 3, 40, 200]), None))
    yield tables
    tables.close()


def follow(tables: Tables, log: Sequence[RecordedEvent], sizes: Iterator[int]) -> None:
    """Apply a log in batches of these sizes."""
    batch, rest = arrow(log), 0
    while rest < len(log):
        size = next(sizes)
        tables.apply(batch.slice(rest, size))
        rest += size


def rows_of(database: Database, dimension: Dimension, suffix: str = "_history") -> list[Any]:
    """Rows of a dimension, personal columns beside the others, in the order of the log."""
    name = dimension.name
    sql = f"FROM {name}{suffix}"
    if len(dimension.shapes) > 1:
        columns = [c for c in dimension.shapes[1].types if not c.endswith("_digest")]
        own = ", ".join(f"p.{column}" for column in columns)
        sql = (
            f"SELECT v.*, {own} FROM {name}{suffix} AS v ASOF LEFT JOIN "
            f"{name}_personal{suffix} AS p ON v.id = p.id AND v.position >= p.position"
        )
    return database.query(f"FROM ({sql}) ORDER BY position", personal=True).to_dicts()


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda each: each.name)
def test_a_version_is_what_the_declaration_says(tables: Tables, dimension: Dimension):
    expected = tell(LOG, dimension)[dimension.name]
    found = rows_of(tables.database, dimension)
    assert expected
    assert len(found) == len(expected)
    for row, told in zip(found, expected, strict=True):
        assert {name: plain(row[name]) for name in told} == {
            name: plain(value) for name, value in told.items()
        }


@pytest.mark.parametrize("table", FACTS, ids=lambda each: each.name)
def test_a_fact_is_what_the_declaration_says(tables: Tables, table: Any):
    rows = tell(LOG, *DIMENSIONS, table)[table.name]
    expected = [row for row in rows if not retracted_since(row)]
    sql = f"FROM {table.name}"
    if len(table.shapes) > 1:
        sql += f" JOIN (SELECT * EXCLUDE (digest) FROM {table.name}_personal) USING (position)"
        if set(table.shapes[1].sources) != set(table.shapes[0].sources):
            sql = sql.replace("JOIN", "LEFT JOIN")
    found = tables.database.query(f"{sql} ORDER BY position", personal=True).to_dicts()
    assert expected
    assert len(found) == len(expected)
    for row, told in zip(found, expected, strict=True):
        assert {name: plain(row[name]) for name in told} == {
            name: plain(value) for name, value in told.items()
        }


def retracted_since(fact: dict[str, Any]) -> bool:
    """Whether the record of a fact was taken back later: the fact then counts no more."""
    return any(
        recorded.stream_id == fact["id"]
        and recorded.position > fact["position"]
        and ".retracted." in recorded.event.type
        for recorded in LOG
    ) and ".retracted." not in next(
        recorded.event.type for recorded in LOG if recorded.position == fact["position"]
    )


def of_streams(log: Sequence[RecordedEvent]) -> dict[Any, list[RecordedEvent]]:
    """The events of each stream."""
    streams: dict[Any, list[RecordedEvent]] = {}
    for recorded in log:
        streams.setdefault(recorded.stream_id, []).append(recorded)
    return streams


def agree(dimension: Dimension, row: dict[str, Any], events: Sequence[RecordedEvent]) -> None:
    """A row and the state folded from the events say the same where they have the same words."""
    state = fold(dimension.of(), [recorded.event for recorded in events])
    blank = {f.name: f.default for f in fields(state) if f.default is not MISSING}
    columns = {name for shape in dimension.shapes for name in shape.types}
    shared = {f.name for f in fields(state)} & columns
    assert shared
    for name in sorted(shared):
        said, held = plain(row[name]), getattr(state, name)
        if getattr(state, f"{name}_from", None):
            continue  # it stands in the row of a record merged into it: test_readmodels_merger
        if name == "status" and said == "retracted":
            said = "unknown"  # to decide it is as if the record had never been; readers see why
        if said is None and held in (blank.get(name, {}), {}):
            continue  # nothing was said of it yet
        assert said == plain(held), name


RECORDS = [each for each in DIMENSIONS if not each.key]


def test_every_aggregate_has_its_dimension():
    assert {each.of for each in DIMENSIONS} == set(AGGREGATES)


@pytest.mark.parametrize("dimension", RECORDS, ids=lambda each: each.name)
def test_a_version_is_the_fold_of_the_events_before_it(tables: Tables, dimension: Dimension):
    streams = of_streams(LOG)
    for row in rows_of(tables.database, dimension):
        agree(dimension, row, streams[as_id(row["id"])][: row["version"]])


@pytest.mark.parametrize("dimension", RECORDS, ids=lambda each: each.name)
@pytest.mark.parametrize("seed", range(8))
def test_at_any_moment_a_row_is_the_fold_of_what_was_so_and_known(
    tables: Tables, dimension: Dimension, seed: int
):
    chance = dice(seed)
    pivot = chance.choice(LOG)
    as_of = chance.choice(
        [None, pivot.occurred_at, pivot.recorded_at - timedelta(hours=chance.randrange(60))]
    )
    known_at = chance.choice([None, chance.choice(LOG).position, chance.choice(LOG).position - 1])
    seen: dict[Any, list[RecordedEvent]] = {}
    for event in dated(LOG):
        so = as_of is None or event.effective_at <= as_of
        if so and (known_at is None or event.recorded.position <= known_at):
            seen.setdefault(event.recorded.stream_id, []).append(event.recorded)
    arguments = [
        *([f"as_of := '{as_of.isoformat()}'"] if as_of else []),
        *([f"known_at := {known_at}"] if known_at is not None else []),
    ]
    found = rows_of(tables.database, dimension, f"_at({', '.join(arguments)})")
    of_it = {r.stream_id for r in LOG if r.event.type.split(".")[0] == of_name(dimension)}
    last = {(recorded[-1].stream_id, recorded[-1].position) for recorded in seen.values()}
    gone = {
        row["id"]
        for row in tell(LOG, dimension)[dimension.name]
        if (row["id"], row["position"]) in last
        and (row.get("status") == "retracted" or row.get("merged_into"))
    }
    left = of_it & set(seen) - gone
    assert sorted(row["id"] for row in found) == sorted(str(id_) for id_ in left)
    for row in found:
        agree(dimension, row, seen[as_id(row["id"])])


def of_name(dimension: Dimension) -> str:
    return aggregate_of(dimension.of)


def as_id(value: Any) -> Any:
    return UUID(value)
