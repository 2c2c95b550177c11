"""Evidence: what happened to a customer, proved, in one file that is checked without us."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from psycopg.sql import SQL

from domain.customer import Customer
from eventstore.merkle import inclusion_proof
from eventstore.notes import SigningKeys
from eventstore.sealer import Sealer
from eventstore.tree import Tiles
from replay import check_bundle
from replay.base import ReplayError, StreamUnknown
from replay.history import told
from replay.people import People
from replay.proofs import text
from replay.report import Report, has_pdf, lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from eventstore.envelope import StoredEnvelope
    from eventstore.log import Log
    from eventstore.workspace import Workspace

SEAL_SECONDS_MAX = 30.0
CAUSES_MAX = 50

ABOUT = """
    originator_id = %(id)s OR position(convert_to(%(text)s, 'UTF8') in state) > 0
    OR originator_id IN (SELECT originator_id FROM log_events
        WHERE originator_version = 1 AND position(convert_to(%(text)s, 'UTF8') in state) > 0)
"""
"""A stream that begins by naming the record, such as a deal of the customer, belongs whole."""


class EvidenceRefused(ReplayError):
    """The log is not what was sealed; nothing is handed out as evidence."""


def evidence(
    workspace: Workspace,
    customer: UUID,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bytes:
    """The bundle of a customer: what happened to it and its deals, tickets and so on, and why.

    Raises `StreamUnknown` when there is no such customer, `EvidenceRefused` when an event is not
    the one that was sealed.
    """
    log, keys = workspace.log, SigningKeys.of(workspace.directory)
    rows = _with_causes(log, _about(log, customer, since, until))
    seal_up_to(workspace, max((row.position or 0 for row in rows), default=0))
    with log.cursor() as cursor:
        tiles = Tiles(cursor)
        sealed = tiles.sealed()
        if sealed is None:
            raise EvidenceRefused(EvidenceRefused.__doc__)
        indexes = tiles.indexes([row.position or 0 for row in rows])
        proofs = [inclusion_proof(index, sealed.size, tiles.node) for index in indexes]
        recorded = log.open_rows(cursor, rows)
    people = People(log)
    story = [told(one, one.occurred_at, people) for one in recorded]
    told_of = Report(f"Customer {customer}", lines(story), sealed.note)
    files = {
        "report.html": told_of.html().encode(),
        **({"report.pdf": told_of.pdf()} if has_pdf() else {}),
        check_bundle.EVENTS: b"".join(map(_line, rows, indexes, proofs)),
        check_bundle.CHECKPOINT: sealed.note.encode(),
        check_bundle.KEYS: "".join(f"{key}\n" for key in keys.verifiers).encode(),
        "verify.py": Path(check_bundle.__file__).read_bytes(),
    }
    listed = "".join(f"{hashlib.sha256(of).hexdigest()}  {name}\n" for name, of in files.items())
    manifest = keys.sign(f"{keys.origin} evidence about {customer}\n{listed}")
    bundle = check_bundle.packed(files | {check_bundle.MANIFEST: manifest.encode()})
    try:
        check_bundle.check(bundle, list(map(str, keys.verifiers)))
    except check_bundle.BundleWrong as wrong:
        raise EvidenceRefused(f"{EvidenceRefused.__doc__} {wrong}") from None
    return bundle


def seal_up_to(workspace: Workspace, position: int) -> None:
    """Have the log sealed up to a position, by this process or another."""
    sealer, deadline = Sealer.of(workspace), time.monotonic() + SEAL_SECONDS_MAX
    while True:
        sealer.seal()
        with workspace.log.cursor() as cursor:
            sealed = Tiles(cursor).sealed()
        if sealed is not None and sealed.position >= position:
            sealer.close()
            return
        if time.monotonic() > deadline:
            raise EvidenceRefused("another process seals the log, and does not come to an end")
        time.sleep(0.1)


def _about(
    log: Log, customer: UUID, since: datetime | None, until: datetime | None
) -> list[StoredEnvelope]:
    first = log.read_stream(customer)[:1]
    if not first or log.state_of(first[0].event) is not Customer:
        raise StreamUnknown(f"there is no customer {customer}")
    where = SQL(
        f"({ABOUT}) AND (%(since)s::timestamptz IS NULL OR occurred_at > %(since)s) "
        "AND (%(until)s::timestamptz IS NULL OR occurred_at <= %(until)s) ORDER BY notification_id"
    )
    values: Any = {"id": customer, "text": str(customer), "since": since, "until": until}
    with log.cursor() as cursor:
        return log.envelopes.select_envelopes(cursor, where, values)


def _with_causes(log: Log, rows: Sequence[StoredEnvelope]) -> list[StoredEnvelope]:
    """The rows, and the events because of which they came about."""
    found = {row.event_id: row for row in rows}
    for _ in range(CAUSES_MAX):
        missing = {row.causation_id for row in found.values()} - found.keys() - {None}
        if not missing:
            break
        with log.cursor() as cursor:
            where = SQL("event_id = ANY(%s)")
            causes = log.envelopes.select_envelopes(cursor, where, ([*missing],))
        if not causes:
            break
        found |= {row.event_id: row for row in causes}
    return sorted(found.values(), key=lambda row: row.position or 0)


def _line(row: StoredEnvelope, index: int, proof: Sequence[bytes]) -> bytes:
    """An event as the checking script reads it; `stored` is what the log holds, to the byte."""
    return orjson.dumps(
        {
            "position": row.position,
            "version": row.originator_version,
            "recorded_at": row.recorded_at,
            "occurred_at": row.occurred_at,
            "event_id": row.event_id,
            "stream_id": row.originator_id,
            "actor": row.actor,
            "correlation_id": row.correlation_id,
            "causation_id": row.causation_id,
            "type": row.topic,
            "stored": row.state.decode(),
            "leaf": index,
            "proof": list(map(text, proof)),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
