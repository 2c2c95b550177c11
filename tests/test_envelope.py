"""Ids that are derived are those of RFC 9562, however they are computed."""

from __future__ import annotations

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from eventstore.envelope import derived, event_id


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_derived_id_is_a_uuid_of_version_5(namespace, name):
    made = derived(namespace, name)
    assert made == uuid5(namespace, name)
    assert (repr(made), hash(made), made.version) == (
        repr(uuid5(namespace, name)),
        hash(uuid5(namespace, name)),
        5,
    )


@given(st.uuids(), st.integers(0, 99))
def test_the_id_of_an_event_follows_from_its_command(command, number):
    assert event_id(command, number) == uuid5(command, str(number)) == event_id(command, number)
