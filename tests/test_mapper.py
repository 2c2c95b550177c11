"""Between events and rows: plain JSON under explicit names, older shapes lifted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from eventsourcing.persistence import StoredEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import EVENTS
from domain.base import Event
from domain.lead import LeadQualified
from eventstore import mapper
from eventstore.envelope import NewEvent, StoredEnvelope, uuid7
from eventstore.errors import EnvelopeMissing
from eventstore.mapper import EventMapper, UnknownEventType
from tests.arbitrary import arbitrary

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = {"budget": 1, "authority": 2, "need": 3, "timeline": 4, "evidence": None}


def row(topic: str, fields: dict[str, Any]) -> StoredEnvelope:
    return StoredEnvelope(
        UUID(int=1), 1, topic, orjson.dumps(fields), uuid7(), NOW, UUID(int=2), UUID(int=3), None,
        position=7, recorded_at=NOW,
    )  # fmt: skip


def test_a_type_outside_the_list_is_refused_not_imported():
    with pytest.raises(UnknownEventType, match=r"os:system at position 7"):
        EventMapper(None).to_domain_event(row("os:system", {}))


def test_a_row_without_an_envelope_is_no_event_of_ours():
    with pytest.raises(EnvelopeMissing):
        EventMapper(None).to_domain_event(StoredEvent(UUID(int=1), 1, "lead.qualified.v1", b"{}"))


def test_personal_fields_cannot_be_written_without_keys():
    event = LeadQualified(budget=1, authority=2, need=3, timeline=4, evidence="")
    new = NewEvent(uuid7(), UUID(int=1), 1, None, UUID(int=2), UUID(int=3), None, event)
    with pytest.raises(EnvelopeMissing, match="no keys"):
        EventMapper(None).to_stored_event(new)


@settings(max_examples=400, deadline=None)
@given(event=st.sampled_from(sorted(mapper.BARE, key=str)).flatmap(arbitrary))
def test_a_bare_event_is_written_as_pydantic_writes_it(event: Event):
    assert orjson.dumps(event.__dict__) == event.model_dump_json().encode()


def test_an_older_shape_is_lifted(monkeypatch: pytest.MonkeyPatch):
    def lift_2026_01_01(fields: dict[str, Any]) -> dict[str, Any]:
        return {"moment": fields["hour"]}

    ticked = EVENTS["clock.ticked.v1"]
    monkeypatch.setitem(mapper.LIFTED, "clock.struck.v1", (lift_2026_01_01, ticked))
    recorded = EventMapper(None).to_domain_event(row("clock.struck.v1", {"hour": NOW.isoformat()}))
    assert recorded.event == ticked.model_validate({"moment": NOW})


def test_ids_made_later_sort_later():
    ids = [uuid7() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert {(found.version, found.variant) for found in ids} == {(7, ids[0].variant)}
    assert [found.int >> 80 for found in ids] == sorted(found.int >> 80 for found in ids)
