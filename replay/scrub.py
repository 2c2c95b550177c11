"""Scrub: nothing that was destroyed is left where deleted things lie about.

A database only marks a deleted row as free, and its write-ahead log tells of it for a while; DuckDB
keeps deleted pages. What no question reaches any more is taken from the disk here.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

import psycopg

from replay.rebuild import clean, open_renewed
from replay.tables import catch_up, unseen

if TYPE_CHECKING:
    from eventstore.workspace import Workspace
    from replay.tables import Progress

TURNS_MAX = 200
"""Write-ahead log files are 16 MB: more of them than this are not kept by our own settings."""

REWRITE = (
    "ALTER TABLE subject_key ALTER COLUMN wrapped SET STATISTICS 0",
    "DELETE FROM pg_catalog.pg_statistic WHERE starelid = 'subject_key'::regclass",
    "VACUUM FULL subject_key",
    "VACUUM FULL reservation",
    "VACUUM FULL pg_catalog.pg_statistic",
    "CHECKPOINT",
)
"""Statistics hold samples of the columns; a checkpoint removes the files that were rewritten."""


def scrub(workspace: Workspace, progress: Progress = unseen) -> int:
    """Rewrite what may hold remains of who was forgotten; no server may run.

    Returns how many files of the write-ahead log were passed. Raises psycopg.Error where the user
    of the database may not do this; docs/privacy.md says what an administrator does then.
    """
    log = workspace.log
    with closing(open_renewed(workspace, progress)) as tables:
        catch_up(tables, log, log.last_position(), progress)
    open_renewed(workspace, progress).close()
    clean(workspace)
    for path in (workspace.directory / "read_node").glob("personal-*"):
        path.unlink()
    with log.cursor() as cursor:
        for statement in REWRITE:
            cursor.execute(statement)
    return _pass_the_log(workspace.database_url)


def _pass_the_log(database_url: str) -> int:
    """Let every file of the write-ahead log that there is be overwritten or removed."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET wal_recycle = off")
        connection.execute("SELECT pg_reload_conf()")
        try:
            files = _files(connection)
            turns = 0
            while turns < TURNS_MAX and (turns < 2 or files & _files(connection)):  # noqa: PLR2004
                connection.execute("SELECT pg_logical_emit_message(false, 'backstory', 'scrub')")
                connection.execute("SELECT pg_switch_wal()")
                connection.execute("CHECKPOINT")
                turns += 1
            return turns
        finally:
            with suppress(psycopg.Error):
                connection.execute("ALTER SYSTEM RESET wal_recycle")
                connection.execute("SELECT pg_reload_conf()")


def _files(connection: psycopg.Connection[tuple[str]]) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pg_ls_waldir()").fetchall()}
