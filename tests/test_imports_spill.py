"""What an import remembers on disk: found again, sealed, and for this process only."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import HIDDEN
from imports.spill import Spill, key_of

NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(NUMBERS, NUMBERS)))
@settings(max_examples=50)
def test_numbers_are_kept_as_they_came_first(pairs):
    spill = Spill()
    known: dict[int, int] = {}
    for key, value in pairs:
        assert spill.has(key) == (key in known)
        assert spill.set_default(key, value) == known.setdefault(key, value)


def test_a_thing_is_found_as_it_was_put_last():
    spill = Spill()
    assert spill.get(7) is None
    spill.put(7, ("Ann", HIDDEN))
    assert spill.get(7)[1] is HIDDEN
    spill.put(7, ("Ben",))
    assert spill.get(7) == ("Ben",)


def test_things_are_found_by_what_they_have_in_common():
    spill = Spill()
    for number, name in enumerate(("Ann", "Ben", "Cleo")):
        spill.put(number, name)
        spill.block(number, (1, number + 10))
    assert spill.near((1,), 2) == ["Ann", "Ben"]
    spill.drop(0, (1, 10))
    assert spill.near((1, 10, 12), 9) == ["Ben", "Cleo"]


def test_nothing_can_be_read_on_the_disk():
    spill = Spill()
    spill.put(1, "ann@example.com")
    [(sealed,)] = spill._disk.execute("SELECT sealed FROM thing").fetchall()
    assert b"ann" not in sealed
    assert spill.hash("ann@example.com") != Spill().hash("ann@example.com")


def test_an_id_has_one_number():
    assert key_of(UUID(int=5)) == 5
    assert key_of(UUID(int=2**64 - 1)) == -1
