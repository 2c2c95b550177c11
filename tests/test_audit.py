"""Whatever is done to the sealed log behind the back of Backstory is found, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager

import psycopg
import pyarrow as pa
import pytest
from psycopg.rows import dict_row

from eventstore.anchor import FileAnchor, notes
from eventstore.leaf import leaf_hashes
from eventstore.log import ARROW
from eventstore.notes import SigningKeys, sign
from eventstore.sealer import Sealer
from eventstore.tree import Tiles
from eventstore.workspace import Workspace
from replay.audit import audit
from tests.databases import empty_database
from tests.random_log import dice, random_log

KEYS, STRANGER = SigningKeys.parse(["11" * 32]), SigningKeys.parse(["22" * 32])
TAMPERINGS = 560
PARTS = (150, 256, 20, 174)
UUIDS = ("event_id", "originator_id", "actor", "correlation_id", "causation_id")


@pytest.fixture(scope="module")
def audited(tmp_path_factory, postgres_url):
    """A workspace whose log was sealed in four parts, with a gap in its positions before each."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("audit"), url) as workspace,
    ):
        told = iter(random_log(7, sum(PARTS), streams=40))
        anchor = FileAnchor(workspace.directory / "kept.jsonl", seconds=0)
        for part in PARTS:
            before = workspace.log.last_position()
            with workspace.log.transaction() as turn:
                turn.append([next(told) for _ in range(part)])
            with workspace.log.cursor() as cursor:
                cursor.execute(
                    "UPDATE log_events SET notification_id = notification_id + 1000 "
                    "WHERE notification_id > %s",
                    (before,),
                )
            Sealer(workspace.log, KEYS, anchor).seal()
        yield workspace


@contextmanager
def tampering(workspace):
    """What is done in the block is undone after it."""
    with psycopg.connect(workspace.log.conninfo, row_factory=dict_row) as connection:
        with connection.cursor() as cursor:
            yield cursor
        connection.rollback()


def rows_of(workspace, cursor):
    """What `Log.read_arrow` gives, as one sees it who is in the middle of a transaction."""

    def rows(after, limit):
        statement = ARROW.format(
            schema=workspace.log.schema, after=after, limit=limit, which="true"
        )
        found = cursor.execute(statement.encode()).fetchall()
        return pa.Table.from_pylist(found) if found else pa.table({"position": pa.array([], "i8")})

    return rows


def audit_in(workspace, cursor, *, held=True, verifiers=KEYS.verifiers):
    kept = list(notes(workspace.directory / "kept.jsonl")) if held else []
    return audit(rows_of(workspace, cursor), cursor, verifiers, kept)


def positions(cursor):
    cursor.execute("SELECT notification_id AS p FROM log_events ORDER BY 1")
    return [row["p"] for row in cursor.fetchall()]


def alter(cursor, chance, all_, column=None):
    """Change one column of one event; the position where that shows."""
    at = chance.choice(all_)
    column = column or chance.choice(
        [*UUIDS, "state", "state", "topic", "originator_version", "recorded_at", "occurred_at"]
    )
    value = {
        "state": "set_byte(state, %s %% length(state), 255 - get_byte(state, %s %% length(state)))",
        "topic": "topic || 'x'",
        "originator_version": "originator_version + 1000",
        "recorded_at": "recorded_at + interval '1 microsecond'",
        "occurred_at": "occurred_at - interval '1 microsecond'",
    }.get(column, "gen_random_uuid()")
    byte = chance.randrange(10_000)
    cursor.execute(
        f"UPDATE log_events SET {column} = {value} WHERE notification_id = %s",
        [byte, byte, at] if column == "state" else [at],
    )
    return at


def reorder(cursor, chance, all_):
    """Let two events change places."""
    first, second = sorted(chance.sample(all_, 2))
    move = "UPDATE log_events SET notification_id = %s WHERE notification_id = %s"
    for to, at in ((-1, first), (first, second), (second, -1)):
        cursor.execute(move, (to, at))
    return first


def delete(cursor, chance, all_):
    """Take one event away, but for the last."""
    at = chance.randrange(len(all_) - 1)
    cursor.execute("DELETE FROM log_events WHERE notification_id = %s", (all_[at],))
    return all_[at + 1]


def replace(cursor, chance, all_):
    """Let one event say what another says."""
    at, other = chance.sample(all_, 2)
    cursor.execute(
        "UPDATE log_events SET topic = o.topic, state = o.state, event_id = gen_random_uuid() "
        "FROM (SELECT topic, state FROM log_events WHERE notification_id = %s) AS o "
        "WHERE notification_id = %s",
        (other, at),
    )
    return at


def insert(cursor, chance, all_):
    """Put an event where none was: into a gap, before the first, or beside another one."""
    gaps = [p for p in range(-3, all_[-1]) if p not in set(all_)]
    twice = chance.random() < 0.3
    at = chance.choice(all_ if twice else gaps)
    if twice:
        cursor.execute("DROP INDEX log_events_notification_id_idx")
    cursor.execute(
        "INSERT INTO log_events SELECT gen_random_uuid(), 1, topic, state, %s, gen_random_uuid(), "
        "recorded_at, occurred_at, actor, correlation_id, causation_id FROM log_events "
        "WHERE notification_id = %s",
        (at, chance.choice(all_)),
    )


def truncate(cursor, chance, all_):
    """Cut off the end of the log."""
    after = chance.choice(all_[:-1])
    cursor.execute("DELETE FROM log_events WHERE notification_id > %s", (after,))


def forge(cursor, chance, all_):
    """Rewrite an event, all hashes over it, and the checkpoint, with a key that is not ours."""
    kind = chance.choice([alter, reorder, replace, delete, truncate, insert_in_gap])
    kind(cursor, chance, all_)
    rehash(cursor, chance.choice(["stranger", "same name", "older signature"]))


def insert_in_gap(cursor, chance, all_):
    cursor.execute(
        "INSERT INTO log_events SELECT gen_random_uuid(), 1, topic, state, 1, gen_random_uuid(), "
        "recorded_at, occurred_at, actor, correlation_id, causation_id FROM log_events "
        "WHERE notification_id = %s",
        (chance.choice(all_),),
    )


def rehash(cursor, signed_by):
    """Make the tree anew from what the rows are now."""
    found = cursor.execute(
        ARROW.format(schema="backstory_default", after=0, limit=10_000, which="true").encode()
    ).fetchall()
    before = Tiles(cursor).sealed()
    cursor.execute("DELETE FROM log_tile")
    tiles = Tiles(cursor)
    tiles.append(0, leaf_hashes(pa.Table.from_pylist(found)), [row["position"] for row in found])
    made = tiles.sign(len(found), found[-1]["position"], STRANGER)
    note = made.note
    if signed_by == "same name":
        text = note.partition("\n\n")[0].replace(STRANGER.origin, KEYS.origin) + "\n"
        note = sign(text, KEYS.origin, STRANGER.signers)
    elif signed_by == "older signature":
        text = note.partition("\n\n")[0].replace(STRANGER.origin, KEYS.origin)
        note = f"{text}\n\n{before.note.rpartition(chr(10) * 2)[2]}"
    cursor.execute("UPDATE log_checkpoint SET note = %s", (note,))


def damage(cursor, chance, _):
    """Change the tree itself, or its checkpoint."""
    cursor.execute(
        chance.choice(
            [
                (
                    "UPDATE log_tile SET hashes = set_byte(hashes, 40, 255 - get_byte(hashes, 40)) "
                    "WHERE level = 0 AND number = 1"
                ),
                (
                    "UPDATE log_tile SET hashes = set_byte(hashes, 4, 255 - get_byte(hashes, 4)) "
                    "WHERE level = 1"
                ),
                "DELETE FROM log_tile WHERE level = 0 AND number = 0",
                "UPDATE log_tile SET first_position = first_position + 1 WHERE number = 1",
                "UPDATE log_tile SET first_position = NULL WHERE number = 2",
                "DELETE FROM log_tile",
                "DELETE FROM log_checkpoint",
                "UPDATE log_checkpoint SET note = replace(note, E'\\n600\\n', E'\\n599\\n')",
                "UPDATE log_checkpoint SET position = position - 1",
                "UPDATE log_checkpoint SET size = size - 1",
                "TRUNCATE log_events",
                "TRUNCATE log_events, log_tile, log_checkpoint",
            ]
        )
    )


def set_back(cursor, chance, all_):
    """Restore the database as it was at an older checkpoint, signature and all."""
    number = chance.randrange(len(PARTS) - 1)
    size = sum(PARTS[: number + 1])
    cursor.execute("DELETE FROM log_events WHERE notification_id > %s", (all_[size - 1],))
    rehash(cursor, "stranger")
    return number


NAMED = (alter, reorder, delete, replace)
OTHERS = (insert, truncate, forge, damage, set_back)


@pytest.mark.timeout(300)
def test_every_tampering_is_found_and_the_first_bad_position_named(audited):
    chance, done = dice(11), 0
    kept = list(notes(audited.directory / "kept.jsonl"))
    with tampering(audited) as cursor:
        all_ = positions(cursor)
        while done < TAMPERINGS:
            kind = [*NAMED, *OTHERS][done % (len(NAMED) + len(OTHERS))]
            cursor.execute("SAVEPOINT untouched")
            shows_at = kind(cursor, chance, all_)
            if kind is set_back:
                cursor.execute("UPDATE log_checkpoint SET note = %s", (kept[shows_at],))
                assert audit_in(audited, cursor, held=False).good
            found = audit_in(audited, cursor)
            assert not found.good, (kind.__name__, done)
            if kind in NAMED:
                assert [f.position for f in found.findings][:1] == [shows_at], (kind, found)
            cursor.execute("ROLLBACK TO untouched")
            done += 1
        assert audit_in(audited, cursor).good


def test_what_happens_in_the_course_of_business_is_not_taken_for_tampering(audited):
    with tampering(audited) as cursor:
        found = audit_in(audited, cursor)
        assert found.good
        assert (found.size, found.checkpoints, found.tail_events) == (600, 4, 0)
        assert audit_in(audited, cursor, held=False).good

        cursor.execute(
            "INSERT INTO log_events SELECT gen_random_uuid(), 1, topic, state, "
            "notification_id + 10000, gen_random_uuid(), recorded_at, occurred_at, actor, "
            "correlation_id FROM log_events ORDER BY notification_id LIMIT 30"
        )
        found = audit_in(audited, cursor)
        assert found.good
        first = positions(cursor)[600]
        assert (found.tail_events, found.tail) == (30, (first, first + 29))

        rows = rows_of(audited, cursor)(found.position, 100)
        tiles = Tiles(cursor)
        tiles.append(600, leaf_hashes(rows), rows["position"].to_pylist())
        tiles.sign(630, first + 29, KEYS)
        found = audit_in(audited, cursor)
        assert found.good
        assert (found.size, found.checkpoints, found.tail_events) == (630, 5, 0)


def test_history_rewritten_by_the_holder_of_the_database_is_narrowed_down(audited):
    with tampering(audited) as cursor:
        all_ = positions(cursor)
        alter(cursor, dice(1), all_[300:301])
        rehash(cursor, "stranger")
        (signature, rewritten) = audit_in(audited, cursor).findings
        assert signature.kind == "checkpoint"
        assert f"after position {all_[149]} up to position {all_[405]}" in rewritten.what


def test_where_a_tile_says_it_begins_is_checked(audited):
    with tampering(audited) as cursor:
        cursor.execute("UPDATE log_tile SET first_position = 1 WHERE level = 0 AND number = 2")
        (finding,) = audit_in(audited, cursor).findings
        assert (finding.kind, finding.position) == ("tree", positions(cursor)[512])
        assert "tile 2 says it begins elsewhere" in finding.what


def test_an_empty_log_has_nothing_to_find(workspace):
    with workspace.log.cursor() as cursor:
        found = audit(workspace.log.read_arrow, cursor, KEYS.verifiers)
    assert found.good
    assert (found.size, found.tail_events) == (0, 0)


def test_rows_read_in_columns_are_the_same_leaves(audited):
    with audited.log.cursor() as cursor:
        seen: list[int] = []
        found = audit(
            audited.log.read_arrow,
            cursor,
            KEYS.verifiers,
            notes(audited.directory / "kept.jsonl"),
            seen.append,
        )
        assert found.good
        assert seen == [found.position]


def test_a_key_that_is_not_trusted_proves_nothing(audited):
    with tampering(audited) as cursor:
        found = audit_in(audited, cursor, verifiers=STRANGER.verifiers)
    assert {finding.kind for finding in found.findings} == {"checkpoint"}
