"""Which failures are expected, what to tell of them, and the exit code that says it."""

from __future__ import annotations

import sys

NO = 1
NOT_NOW = 3

CODES: dict[str, int] = {
    "domain.base.Refusal": NO,
    "replay.base.ReplayError": NO,
    "cli.tables.Refused": NO,
    "cli.session.SessionError": NOT_NOW,
    "imports.duplicates.SplinkMissing": NOT_NOW,
    "eventstore.places.AnchorUnknown": NO,
    "eventstore.stamps.StampsMissing": NOT_NOW,
    "imports.runs.RunUnknown": NO,
    "eventstore.errors.EventStoreError": NOT_NOW,
    "eventstore.keys.MasterKeyLost": NOT_NOW,
    "eventstore.notes.NoteWrong": NO,
    "eventstore.notes.SigningKeyWrong": NOT_NOW,
    "eventstore.schema.PostgresTooOld": NOT_NOW,
    "eventstore.schema.SchemaTooNew": NOT_NOW,
    "eventsourcing.persistence.PersistenceError": NOT_NOW,
    "psycopg.OperationalError": NOT_NOW,
    "duckdb.IOException": NOT_NOW,
    "builtins.PermissionError": NOT_NOW,
}
"""Expected failures by name: what was not imported was not raised either."""


def exit_code(error: Exception) -> int | None:
    """The exit code of an expected failure; None for a bug."""
    for name, code in CODES.items():
        module, _, kind = name.rpartition(".")
        known = getattr(sys.modules.get(module), kind, None)
        if isinstance(known, type) and isinstance(error, known):
            return code
    return None


def sentence(error: Exception) -> str:
    """What to tell the user."""
    said = str(error).strip() or type(error).__name__
    if type(error).__module__.split(".")[0] in ("eventsourcing", "psycopg", "psycopg_pool"):
        return f"the database cannot be reached: {said}"
    return said
