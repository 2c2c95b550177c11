"""A backup brings a new installation to the same log and the same tables, or to nothing."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands.base import handle
from commands.lead import CaptureLead, QualifyLead
from eventstore import segments
from eventstore.envelope import uuid7
from eventstore.leaf import leaf_hashes
from eventstore.merkle import Frontier
from eventstore.notes import SigningKeys
from eventstore.reservations import AlreadyHeld
from eventstore.segments import SegmentWrong, read_segment
from eventstore.transfer import BESIDE
from eventstore.tree import Tiles
from eventstore.workspace import Workspace
from eventstore.writer import Context, IdempotencyKey, Writer
from replay import backup as writing
from replay.audit import audit_workspace
from replay.backup import MANIFEST, Backup, BackupRefused, BackupWrong, write
from replay.rebuild import build
from replay.reservations import recompute
from replay.restore import RestoreRefused, restore
from replay.segments import OtherLog, Segments
from replay.tables import Here, catch_up, open_tables
from tests.databases import empty_database
from tests.random_log import dice, random_log
from tests.test_merkle import mth_of_hashes

if TYPE_CHECKING:
    from pathlib import Path

ANN, LEAD = UUID(int=3), UUID(int=77)
SMALL = 64


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch):
    monkeypatch.setattr(writing, "SEGMENT_EVENTS", SMALL)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, postgres_url):
    """A workspace with a random log, a lead, and the reply to the command that captured it."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("kept"), url) as workspace,
    ):
        told = iter(random_log(5, 200, streams=20))
        for count in (90, 110):
            with workspace.log.transaction() as turn:
                turn.append([next(told) for _ in range(count)])
        with Writer(workspace.log) as writer:
            capture(writer).result(30)
        yield workspace


def capture(writer):
    command = CaptureLead.model_validate(CaptureLead.example | {"email": "bo@example.com"})
    context = Context(ANN, uuid7(), key=IdempotencyKey(b"scope", "once", b"digest"))
    return handle(writer, command, LEAD, context)


@pytest.fixture
def folder(kept, tmp_path):
    write(kept, tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture
def fresh(kept, tmp_path, database_url):
    """An empty installation that has the secrets of the old one."""
    directory = tmp_path / "fresh"
    directory.mkdir()
    for name in ("master.key", "signing.key"):
        shutil.copy(kept.directory / name, directory)
    with Workspace.open(directory, database_url) as workspace:
        yield workspace


def keys_of(workspace):
    return SigningKeys.of(workspace.directory).verifiers


def open_backup(folder, workspace):
    return Backup.open(folder, keys_of(workspace))


def digests(workspace, folder):
    folder.mkdir()
    with closing(open_tables(workspace, folder)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
        assert tables.position == workspace.log.last_position()
        return Here(tables.database).standing().digests


def rows_of(workspace, table):
    with workspace.log.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(t)::text AS row FROM {table} AS t ORDER BY 1")
        return [row["row"] for row in cursor.fetchall()]


def test_a_new_installation_is_the_old_one(kept, folder, fresh, tmp_path):
    done = restore(fresh, open_backup(folder, kept))
    assert done.size == 201
    with kept.log.cursor() as old, fresh.log.cursor() as new:
        assert Tiles(new).root(201) == Tiles(old).root(201)
    for table in ("log_events", "log_tile", *BESIDE):
        assert rows_of(fresh, table) == rows_of(kept, table), table
    assert audit_workspace(fresh).good
    assert recompute(fresh.log, done.position) == recompute(kept.log, done.position)
    assert digests(fresh, tmp_path / "new") == digests(kept, tmp_path / "old")


def test_life_goes_on_in_the_new_installation(kept, folder, fresh):
    restore(fresh, open_backup(folder, kept))
    with Writer(fresh.log) as writer:
        before = fresh.log.last_position()
        receipt = capture(writer).result(30)  # asked again: the reply is the one from before
        assert receipt.position <= before
        assert fresh.log.last_position() == before
        with pytest.raises(AlreadyHeld):
            handle(
                writer,
                CaptureLead.model_validate(CaptureLead.example | {"email": "bo@example.com"}),
                uuid7(),
                Context(ANN, uuid7()),
            ).result(30)
        qualify = QualifyLead.model_validate(QualifyLead.example)
        handle(writer, qualify, LEAD, Context(ANN, uuid7())).result(30)
    assert fresh.log.last_position() > before
    named = fresh.log.read_stream(LEAD)[0].event
    assert named.email == "bo@example.com"
    grown = write(fresh, folder)
    assert grown.checkpoint.size > 201
    assert audit_workspace(fresh).good


def test_a_log_that_is_not_empty_is_left_alone(kept, folder, fresh):
    restore(fresh, open_backup(folder, kept))
    before = rows_of(fresh, "log_events")
    with pytest.raises(RestoreRefused, match="events in this log already"):
        restore(fresh, open_backup(folder, kept))
    assert rows_of(fresh, "log_events") == before


def test_a_changed_byte_is_found_and_its_file_named(kept, folder, fresh):
    chance = dice(5)
    tables = ("log_events", "log_tile", *BESIDE)
    before = {table: rows_of(fresh, table) for table in tables}
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(3):
            changed = bytearray(whole)
            changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            with pytest.raises(BackupWrong, match=path.name):
                restore(fresh, open_backup(folder, kept))
        path.unlink()
        with pytest.raises(BackupWrong, match=path.name):
            restore(fresh, open_backup(folder, kept))
        path.write_bytes(whole)
    assert before["log_events"] == []
    assert {table: rows_of(fresh, table) for table in tables} == before
    restore(fresh, open_backup(folder, kept))


def test_each_segment_proves_itself(kept, folder):
    found = open_backup(folder, kept)
    assert [name[8:33] for name in found.segments] == [
        "000000000000-000000000064",
        "000000000064-000000000128",
        "000000000128-000000000192",
        "000000000192-000000000201",
    ]
    for name in found.segments:
        segment, rows = read_segment(name, (folder / name).read_bytes())
        leaves = leaf_hashes(rows)
        segment.check(leaves, segment.before(), keys_of(kept))
        with pytest.raises(SegmentWrong, match=name):
            segment.check([*leaves[1:], leaves[0]], segment.before(), keys_of(kept))
        with pytest.raises(SegmentWrong, match="does not continue"):
            segment.check(leaves, Frontier(1, [leaves[0]]), keys_of(kept))
        with pytest.raises(SegmentWrong, match="no key that is trusted"):
            stranger = SigningKeys.parse(["22" * 32]).verifiers
            segment.check(leaves, segment.before(), stranger)
    schema = pq.read_schema(folder / found.segments[0])
    assert str(schema.field("event_id").type) == "extension<arrow.uuid>"


def test_what_is_no_segment_is_told(folder):
    name = min(path.name for path in folder.glob("segment-*"))
    content = (folder / name).read_bytes()
    for wrong_name, wrong in ((name, b""), (name, content[:-9]), ("other.parquet", content)):
        with pytest.raises(SegmentWrong, match=wrong_name):
            read_segment(wrong_name, wrong)


def test_a_second_backup_adds_what_is_new_and_forgets_whose_key_is_gone(kept, folder):
    first = open_backup(folder, kept)
    before = {name: (folder / name).read_bytes() for name in first.segments}
    with kept.log.cursor() as cursor:
        cursor.execute("DELETE FROM subject_key RETURNING subject, wrapped")
        gone = cursor.fetchall()
    try:
        second = write(kept, folder)
        assert second.beside("subject_key").num_rows == 0
        wrapped = gone[0]["wrapped"]
        assert not any(wrapped in path.read_bytes() for path in folder.iterdir())
    finally:
        with kept.log.cursor() as cursor:
            for row in gone:
                cursor.execute("INSERT INTO subject_key VALUES (%(subject)s, %(wrapped)s)", row)
    assert {name: (folder / name).read_bytes() for name in second.segments} == before
    assert {path.name for path in folder.iterdir()} == {MANIFEST, *second.files}


def test_a_backup_that_broke_off_is_gone_on_with(kept, tmp_path, monkeypatch):
    folder = tmp_path / "backup"
    written: list[Path] = []
    once = segments.write_segment

    def breaks_off(path, *rest):
        if len(written) == 2:
            path.write_bytes(b"half a segm")
            raise KeyboardInterrupt
        written.append(path)
        once(path, *rest)

    monkeypatch.setattr(writing, "write_segment", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        write(kept, folder)
    with pytest.raises(BackupWrong, match="holds no backup"):
        open_backup(folder, kept)
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.glob("segment-*.parquet")}
    assert len(stamps) == 2
    (folder / sorted(stamps)[1]).write_bytes(b"torn")
    monkeypatch.setattr(writing, "write_segment", once)
    made = write(kept, folder)
    kept_name = min(stamps)
    assert (folder / kept_name).stat().st_mtime_ns == stamps[kept_name]
    assert sum(len(rows) for rows, _ in made.rows()) == 201


def test_a_folder_of_another_log_is_refused(kept, folder, workspace):
    for name in ("master.key", "signing.key"):
        shutil.copy(kept.directory / name, workspace.directory)
    with workspace.log.transaction() as turn:
        turn.append(list(random_log(8, 20, streams=3)))
    with pytest.raises(BackupRefused, match="does not continue"):
        write(workspace, folder)


def test_a_log_that_is_not_what_was_sealed_is_not_written(kept, tmp_path):
    write(kept, tmp_path / "good")
    with kept.log.cursor() as cursor:
        cursor.execute(
            "SELECT notification_id AS p, actor FROM log_events WHERE actor <> %s", (ANN,)
        )
        row = cursor.fetchall()[100]
        change = "UPDATE log_events SET actor = %s WHERE notification_id = %s"
        cursor.execute(change, (uuid7(), row["p"]))
        try:
            with pytest.raises(BackupRefused, match="not what was sealed"):
                write(kept, tmp_path / "bad")
        finally:
            cursor.execute(change, (row["actor"], row["p"]))
    assert not (tmp_path / "bad" / MANIFEST).exists()


def test_other_secrets_and_newer_checkpoints_are_told(kept, folder, tmp_path, database_url):
    found = open_backup(folder, kept)
    with Workspace.open(tmp_path / "stranger", database_url) as stranger:
        with pytest.raises(RestoreRefused, match=r"another master key: put master\.key"):
            restore(stranger, found)
        with pytest.raises(BackupWrong, match="no key that is trusted"):
            open_backup(folder, stranger)
    older = replace(found, checkpoint=replace(found.checkpoint, size=100))
    with pytest.raises(RestoreRefused, match="checkpoint over 201 events"):
        restore(kept, older)


@pytest.mark.parametrize("rows", [7, 64, 100, 100_000])
def test_tables_made_from_segments_are_those_made_from_the_log(kept, folder, tmp_path, rows):
    read, log = Segments(open_backup(folder, kept), kept.log), kept.log
    after, pages = 0, []
    while len(page := read(after, rows)):
        pages.append(page)
        after = page["position"][-1].as_py()
    assert {len(page) for page in pages[:-1]} <= {rows}
    whole = log.read_arrow(0, 1_000)
    assert pa.concat_tables(pages).cast(whole.schema).equals(whole)
    if rows == 100:
        generation = build(kept, backup=open_backup(folder, kept))
        with closing(open_tables(kept, generation)) as tables:
            made = Here(tables.database).standing().digests
        assert made == digests(kept, tmp_path / "usual")


def test_what_is_newer_than_the_segments_comes_from_the_log(kept, folder, fresh):
    restore(fresh, open_backup(folder, kept))
    with Writer(fresh.log) as writer:
        qualify = QualifyLead.model_validate(QualifyLead.example)
        handle(writer, qualify, LEAD, Context(ANN, uuid7())).result(30)
    read, last = Segments(open_backup(folder, kept), fresh.log), fresh.log.last_position()
    assert read(0, 1_000)["position"][-1].as_py() == last
    assert read(last - 1, 1_000)["type"].to_pylist() == ["lead.qualified.v1"]
    assert len(read(last, 1_000)) == 0
    with fresh.log.cursor() as cursor:
        cursor.execute("DELETE FROM log_tile")
    with pytest.raises(OtherLog):
        Segments(open_backup(folder, kept), fresh.log)


def test_an_empty_log_is_backed_up_and_restored(workspace, tmp_path, postgres_url):
    found = write(workspace, tmp_path / "backup")
    assert (found.checkpoint.size, found.segments) == (0, [])
    with (
        empty_database(postgres_url) as url,
        Workspace.open(workspace.directory, url) as other,
    ):
        assert restore(other, found).size == 0
        assert other.log.last_position() == 0


def test_only_one_writes_into_a_folder(kept, folder):
    with writing._alone(folder), pytest.raises(BackupRefused, match="another process"):
        write(kept, folder)


def test_a_restore_that_fails_at_the_end_leaves_nothing(kept, folder, fresh, monkeypatch):
    monkeypatch.setattr(Backup, "beside", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore(fresh, open_backup(folder, kept))
    assert fresh.log.last_position() == 0
    with psycopg.connect(fresh.log.conninfo) as connection:
        assert connection.execute("SELECT count(*) FROM log_tile").fetchone() == (0,)


def test_the_right_edge_of_a_tree_is_all_it_needs():
    leaves = [bytes([n % 256]) * 32 for n in range(700)]
    tree, at = Frontier(), 0
    for count in (0, 1, 1, 5, 249, 1, 255, 100, 88):
        tree.extend(leaves[at : at + count])
        at += count
        assert tree.root() == mth_of_hashes(leaves[:at])
        assert Frontier(tree.size, tree.hashes).root() == tree.root()
    with pytest.raises(ValueError, match="peaks"):
        Frontier(3, [leaves[0]])
