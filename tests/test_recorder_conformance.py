"""The library's own recorder test cases, run against our recorders.

Left out, and why:

* `AggregateRecorderTestCase`: it expects that inserts return no positions; it is for the snapshot
  recorder of the library, and there are no snapshots here.
* `ProcessRecorderTestCase`: a process recorder stores events together with a tracking object in
  one `insert_events` call. Our followers do that with `Transaction.append` and `.track`
  (tests/test_log.py shows that both happen or neither).
* `InfrastructureFactoryTestCase`, `TranscoderTestCase`: they test the library's own factory and
  transcoder, which are not subclassed; our mapper has its own tests (tests/test_mapper.py).
* `test_performance`, `test_concurrent_throughput`: they print figures and assert nothing; our
  figures come from `benchmarks/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    TrackingRecorderTestCase,
)
from psycopg.conninfo import conninfo_to_dict

from eventstore.envelope import StoredEnvelope, uuid7
from eventstore.errors import EnvelopeMissing
from eventstore.recorder import Bookmarks, EnvelopeRecorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Enveloping(EnvelopeRecorder):
    """Puts the bare events of the test cases into envelopes, as our mapper does with ours."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        enveloped = [_enveloped(event) for event in stored_events]
        return cast("Sequence[int] | None", super().insert_events(enveloped, **kwargs))


def _enveloped(event: StoredEvent) -> StoredEnvelope:
    return StoredEnvelope(
        originator_id=event.originator_id,
        originator_version=event.originator_version,
        topic=event.topic,
        state=event.state,
        event_id=uuid7(),
        occurred_at=None,
        actor=UUID(int=1),
        correlation_id=uuid7(),
        causation_id=None,
    )


def _datastore(database_url: str) -> PostgresDatastore:
    parts = conninfo_to_dict(database_url)
    return PostgresDatastore(
        str(parts["dbname"]),
        str(parts.get("host", "")),
        str(parts.get("port", 5432)),
        str(parts["user"]),
        str(parts.get("password", "")),
        pool_size=2,
        max_overflow=15,
        schema="backstory_default",
    )


@pytest.fixture
def datastore(database_url: str) -> Iterator[PostgresDatastore]:
    found = _datastore(database_url)
    EnvelopeRecorder(found).create_table()
    yield found
    found.close()


@pytest.fixture
def _recorders(request: pytest.FixtureRequest, datastore: PostgresDatastore) -> None:
    request.cls.datastore = datastore


@pytest.mark.usefixtures("_recorders")
class TestEnvelopeRecorder(ApplicationRecorderTestCase[Enveloping]):
    datastore: PostgresDatastore

    def create_recorder(self) -> Enveloping:
        return Enveloping(self.datastore)

    test_performance = None  # type: ignore[assignment]
    test_concurrent_throughput = None  # type: ignore[assignment]


@pytest.mark.usefixtures("_recorders")
class TestNonInterleaving(NonInterleavingNotificationIDsBaseCase):
    datastore: PostgresDatastore

    def create_recorder(self) -> Enveloping:
        return Enveloping(self.datastore)


@pytest.mark.usefixtures("_recorders")
class TestBookmarks(TrackingRecorderTestCase):
    datastore: PostgresDatastore

    def create_recorder(self) -> Bookmarks:
        return Bookmarks(self.datastore)


def test_an_event_without_its_envelope_is_refused_clearly(datastore: PostgresDatastore):
    bare = StoredEvent(uuid7(), 1, "lead.captured.v1", b"{}")
    with pytest.raises(EnvelopeMissing, match="has no envelope"):
        EnvelopeRecorder(datastore).insert_events([bare])


def test_the_database_refuses_a_row_without_its_envelope(datastore: PostgresDatastore):
    with (
        datastore.get_connection() as connection,
        pytest.raises(Exception, match="an_event_needs_its_envelope"),
    ):
        connection.execute(
            "INSERT INTO backstory_default.log_events "
            "(originator_id, originator_version, topic, state) "
            "VALUES (gen_random_uuid(), 1, 'lead.captured.v1', '{}')"
        )


def test_the_functions_of_the_library_that_skip_the_lock_cannot_be_switched_on(
    datastore: PostgresDatastore,
):
    datastore.enable_db_functions = True
    with pytest.raises(ValueError, match="loses events"):
        EnvelopeRecorder(datastore)
