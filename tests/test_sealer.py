"""Sealing the log: at once, by one process at a time, and never what does not continue it."""

from __future__ import annotations

import time
from uuid import UUID

import psycopg
import pytest

from commands.base import handle
from commands.lead import CaptureLead
from domain.clock import CLOCK, ClockTicked
from eventstore.anchor import FileAnchor, notes
from eventstore.envelope import NewEvent, uuid7
from eventstore.leaf import leaf_hashes
from eventstore.merkle import check_consistency, check_inclusion, consistency_proof, inclusion_proof
from eventstore.notes import SigningKeys
from eventstore.sealer import Sealer
from eventstore.tree import Checkpoint, NotSealed, Tiles, TreeDamaged
from eventstore.writer import Context, Writer
from tests.random_log import EPOCH
from tests.test_merkle import mth_of_hashes

KEYS = SigningKeys.parse(["11" * 32])


def append(log, count):
    """Ticks of the clock; positions have a gap before each batch."""
    last = log.last_position()
    with log.transaction() as turn:
        version = turn.heads([CLOCK])[CLOCK]
        turn.append([
            NewEvent(
                uuid7(), CLOCK, version + n, None, UUID(int=3), uuid7(), None,
                ClockTicked(moment=EPOCH),
            )
            for n in range(1, count + 1)
        ])  # fmt: skip
    with log.cursor() as cursor:
        cursor.execute(
            "UPDATE log_events SET notification_id = notification_id + 1000 "
            "WHERE notification_id > %s",
            (last,),
        )


def sealer_of(workspace, **options):
    return Sealer(workspace.log, KEYS, FileAnchor(workspace.directory / "kept.jsonl", **options))


def sealed(log):
    with log.cursor() as cursor:
        return Checkpoint.parse(Tiles(cursor).sealed().note, KEYS.verifiers)


def test_the_tree_is_the_same_however_it_grew(workspace):
    log, checkpoints = workspace.log, []
    for count in (1, 254, 1, 1, 600, 256, 3):
        append(log, count)
        sealer_of(workspace).seal()
        checkpoints.append(sealed(log))
    leaves = leaf_hashes(log.read_arrow(0, 10_000))
    assert [one.size for one in checkpoints] == [1, 255, 256, 257, 857, 1113, 1116]
    assert [one.root for one in checkpoints] == [
        mth_of_hashes(leaves[: c.size]) for c in checkpoints
    ]
    with log.cursor() as cursor:
        tiles = Tiles(cursor)
        newest = checkpoints[-1]
        for old in checkpoints:
            proof = consistency_proof(old.size, newest.size, tiles.node)
            check_consistency(old.size, newest.size, old.root, newest.root, proof)
        for recorded in list(log.read())[::37]:
            (index,) = tiles.indexes([recorded.position])
            proof = inclusion_proof(index, newest.size, tiles.node)
            check_inclusion(leaves[index], index, newest.size, proof, newest.root)
        with pytest.raises(NotSealed, match="no sealed event"):
            tiles.indexes([1])  # the gap before the first
        with pytest.raises(NotSealed, match="no sealed event"):
            tiles.indexes([log.last_position() + 1])


def test_what_is_appended_is_sealed_within_a_second_by_one_of_several(workspace):
    sealers = [sealer_of(workspace).start() for _ in range(3)]
    try:
        with Writer(workspace.log) as writer:
            for number in range(5):
                capture = CaptureLead.model_validate(
                    CaptureLead.example | {"email": f"ann{number}@example.com"}
                )
                handle(writer, capture, uuid7(), Context(UUID(int=3), uuid7())).result(30)
        deadline = time.monotonic() + 30
        found = None
        while time.monotonic() < deadline:
            with workspace.log.cursor() as cursor:
                found = Tiles(cursor).sealed()
            if found and found.size == 5:
                break
            time.sleep(0.02)
        assert found is not None
        assert found.size == 5
    finally:
        for sealer in sealers:
            sealer.close()
    assert [sealer.error for sealer in sealers] == [None] * 3


def test_while_one_seals_the_others_do_nothing(workspace):
    append(workspace.log, 3)
    with psycopg.connect(workspace.log.conninfo) as other:
        other.execute(
            "SELECT pg_advisory_xact_lock(hashtext(%s))", (f"seal:{workspace.log.schema}",)
        )
        assert sealer_of(workspace).step() is None
    assert sealer_of(workspace).step() == workspace.log.last_position()


def test_a_crash_between_tree_and_checkpoint_leaves_neither(workspace, monkeypatch):
    append(workspace.log, 3)
    monkeypatch.setattr(Tiles, "sign", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sealer_of(workspace).step()
    monkeypatch.undo()
    with workspace.log.cursor() as cursor:
        assert Tiles(cursor).sealed() is None
        assert Tiles(cursor).tile(0, 0) == b""
    sealer_of(workspace).seal()
    assert sealed(workspace.log).size == 3


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log_tile SET hashes = set_byte(hashes, 5, 255 - get_byte(hashes, 5))",
        "UPDATE log_checkpoint SET note = replace(note, E'\\n300\\n', E'\\n299\\n')",
        "UPDATE log_checkpoint SET size = 299",
        "DELETE FROM log_checkpoint",
        "DELETE FROM log_checkpoint; DELETE FROM log_tile",
    ],
)
def test_what_does_not_continue_the_signed_tree_is_not_signed(workspace, change):
    append(workspace.log, 300)
    sealer_of(workspace, seconds=0).seal()
    append(workspace.log, 1)
    with workspace.log.cursor() as cursor:
        cursor.execute(change)
    with pytest.raises(TreeDamaged):
        sealer_of(workspace).step()


def test_a_database_set_back_is_noticed_by_the_checkpoint_kept_elsewhere(workspace):
    append(workspace.log, 2)
    sealer_of(workspace, seconds=0).seal()
    with workspace.log.cursor() as cursor:
        before = Tiles(cursor).sealed()
        append(workspace.log, 3)
        sealer_of(workspace, seconds=0).seal()
        cursor.execute(
            "UPDATE log_checkpoint SET note = %s, size = 2, position = %s",
            (before.note, before.position),
        )
    append(workspace.log, 1)
    with pytest.raises(TreeDamaged, match="does not continue"):
        sealer_of(workspace).step()


def test_checkpoints_are_kept_in_a_file_that_only_grows(workspace):
    path = workspace.directory / "kept.jsonl"
    sizes = []
    for seconds in (0, 0, 1_000):
        append(workspace.log, 1)
        sealer = sealer_of(workspace, seconds=seconds)
        sealer.seal()
        append(workspace.log, 1)
        sealer.seal()
        sealer.close()
    path.write_bytes(path.read_bytes() + b'{"at":"20')  # cut off by a crash
    sizes = [Checkpoint.parse(note, KEYS.verifiers).size for note in notes(path)]
    assert sizes == [1, 2, 3, 4, 5, 6]
    sealer = sealer_of(workspace, seconds=0)
    append(workspace.log, 1)
    sealer.seal()
    assert len(list(notes(path))) == 7
    assert sealer.anchor.newest(KEYS.verifiers).size == 7
