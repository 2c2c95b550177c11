"""Personal values are sealed for one person, one event and one field."""

from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.key_services import MasterKey, key_service
from eventstore.keys import SEALED_FROM, Keyring, MasterKeyLost, Root

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ANN, BOB = UUID(int=1), UUID(int=2)


class Cursor:
    """A table of keys in memory, as far as a keyring asks of one."""

    def __init__(self) -> None:
        self.rows: dict[UUID, bytes] = {}
        self.found: list[dict[str, Any]] = []

    def execute(self, _: str, values: Sequence[Any], *, prepare: bool) -> None:
        assert prepare
        *made, asked = values
        self.found = [
            {"subject": s, "wrapped": self.rows[s], "root": 1} for s in asked if s in self.rows
        ]
        self.rows = dict(zip(*made[1:], strict=True)) | self.rows if made else self.rows

    def fetchall(self) -> list[dict[str, Any]]:
        return self.found


@pytest.fixture
def table() -> Cursor:
    return Cursor()


def ring(master: bytes = b"m" * 32) -> Keyring:
    return Keyring({1: Root.of_master(master)})


def keyring(table: Cursor, *subjects: UUID, master: bytes = b"m" * 32) -> Keyring:
    keys = ring(master)
    keys.load(table, subjects, make=True)
    return keys


@settings(max_examples=50)
@given(st.text(max_size=500))
def test_what_is_sealed_can_be_opened(text: str):
    keys = keyring(Cursor(), ANN)
    plain = text.encode(errors="replace").decode()
    assert keys.decrypt(ANN, BOB, "name", keys.encrypt(ANN, BOB, "name", plain)) == plain


def test_the_same_value_never_looks_the_same(table: Cursor):
    keys = keyring(table, ANN)
    assert len({keys.encrypt(ANN, BOB, "name", "Ann") for _ in range(100)}) == 100


@pytest.mark.parametrize("place", [(BOB, BOB, "name"), (ANN, ANN, "name"), (ANN, BOB, "email")])
def test_a_ciphertext_cannot_be_moved(table: Cursor, place: tuple[UUID, UUID, str]):
    keys = keyring(table, ANN, BOB)
    sealed = keys.encrypt(ANN, BOB, "name", "Ann")
    with pytest.raises(ValueError, match="does not belong"):
        keys.decrypt(*place, sealed)


def test_a_destroyed_key_is_a_person_forgotten(table: Cursor):
    sealed = keyring(table, ANN).encrypt(ANN, BOB, "name", "Ann")
    del table.rows[ANN]
    later = ring()
    later.load(table, [ANN], make=False)
    assert later.decrypt(ANN, BOB, "name", sealed) is None


def test_keys_are_stored_wrapped(table: Cursor):
    keyring(table, ANN)
    again = ring(b"x" * 32)
    with pytest.raises(MasterKeyLost, match=r"restore master\.key"):
        again.load(table, [ANN], make=False)


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["load", "make"]), st.sets(st.integers(0, 30)))))
def test_no_more_keys_stay_in_memory_than_there_is_room_for(monkeypatch, asked):
    monkeypatch.setattr("eventstore.keys.CACHED_KEYS_MAX", 5)
    table, held = Cursor(), ring()
    for how, numbers in asked:
        subjects = [UUID(int=1 + number) for number in numbers]
        if how == "load":
            held.load(table, subjects, make=True)
        else:
            made, (_, _, wrapped) = held.make(UUID(int=one.int + 100) for one in subjects)
            table.rows |= dict(zip(made, wrapped, strict=True))
        assert len(held._known) <= 5


def test_more_persons_than_there_is_room_for_are_read_at_once(table: Cursor, monkeypatch):
    monkeypatch.setattr("eventstore.keys.CACHED_KEYS_MAX", 5)
    subjects = [UUID(int=number) for number in range(1, 10)]
    sealed = [keyring(table, one).encrypt(one, BOB, "name", "Ann") for one in subjects]
    del table.rows[subjects[3]]
    keys = ring()
    keys.load(table, subjects[:5], make=False)
    opens = keys.opens(table, subjects)
    found = [
        open_ and open_(raw[:12], raw[12:], f"{BOB}|name|{one}".encode())
        for one, open_, raw in zip(subjects, opens, map(raw_of, sealed), strict=True)
    ]
    assert found == [None if one == subjects[3] else b"Ann" for one in subjects]


def raw_of(text: str) -> bytes:
    return base64.b64decode(text[SEALED_FROM:])


def test_a_keyed_hash_needs_the_master_key():
    assert ring().keyed_hash("e", "a") == ring().keyed_hash("e", "a")
    assert ring().keyed_hash("e", "a") != ring(b"x" * 32).keyed_hash("e", "a")
    assert ring().keyed_hash("e", "ab") != ring().keyed_hash("ea", "b")


def test_the_master_key_is_made_once_and_for_its_owner_only(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: key_service(tmp_path).name, range(16)))
    assert len(found) == 1
    assert stat.S_IMODE(os.stat(tmp_path / "master.key").st_mode) == 0o600  # noqa: PTH116
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_the_master_key_may_be_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("BACKSTORY_MASTER_KEY", "ab" * 32)
    assert key_service(tmp_path) == MasterKey(b"\xab" * 32, "BACKSTORY_MASTER_KEY")
    assert not list(tmp_path.iterdir())


def test_a_master_key_of_another_length_is_refused():
    with pytest.raises(MasterKeyLost, match="64 hex digits"):
        MasterKey(b"short", "here")
