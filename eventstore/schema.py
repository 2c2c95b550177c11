"""The tables of a workspace in PostgreSQL, and how older ones become these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    import psycopg

OLDEST_POSTGRESQL = 15_00_00

# Each entry is one version; a released entry never changes. The statements run with the
# workspace's schema as their search path.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE log_events (
        originator_id uuid NOT NULL,
        originator_version bigint NOT NULL,
        topic text NOT NULL,
        state bytea NOT NULL,
        notification_id bigserial NOT NULL,
        event_id uuid,
        recorded_at timestamptz,
        occurred_at timestamptz,
        actor uuid,
        correlation_id uuid,
        causation_id uuid,
        PRIMARY KEY (originator_id, originator_version),
        CONSTRAINT an_event_needs_its_envelope CHECK (
            event_id IS NOT NULL AND recorded_at IS NOT NULL AND occurred_at IS NOT NULL
            AND actor IS NOT NULL AND correlation_id IS NOT NULL),
        CONSTRAINT an_event_does_not_occur_after_it_is_recorded CHECK (occurred_at <= recorded_at)
    ) WITH (autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.02);
    CREATE UNIQUE INDEX log_events_notification_id_idx ON log_events (notification_id);
    CREATE UNIQUE INDEX log_events_event_id_idx ON log_events (event_id);
    CREATE INDEX log_events_recorded_at_idx ON log_events USING brin (recorded_at);

    CREATE TABLE log_tracking (
        application_name text PRIMARY KEY,
        notification_id bigint
    ) WITH (fillfactor = 70);

    CREATE TABLE subject_key (
        subject uuid PRIMARY KEY,
        wrapped bytea NOT NULL
    );

    CREATE TABLE reservation (
        kind text NOT NULL,
        hash bytea NOT NULL,
        stream_id uuid NOT NULL,
        taken_position bigint NOT NULL,
        freed_position bigint
    );
    CREATE UNIQUE INDEX reservation_held_idx ON reservation (hash) WHERE freed_position IS NULL;
    CREATE INDEX reservation_stream_idx ON reservation (stream_id);

    CREATE TABLE idempotency (
        scope bytea NOT NULL,
        key text NOT NULL,
        digest bytea NOT NULL,
        reply jsonb NOT NULL,
        stored_at timestamptz NOT NULL,
        PRIMARY KEY (scope, key)
    );
    CREATE INDEX idempotency_stored_at_idx ON idempotency (stored_at);

    CREATE TABLE api_key (
        hash bytea PRIMARY KEY,
        id uuid NOT NULL UNIQUE,
        actor uuid NOT NULL,
        label text NOT NULL,
        personal boolean NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz
    );
    """,
    """
    CREATE TABLE log_tile (
        level smallint NOT NULL,
        number bigint NOT NULL,
        first_position bigint,
        hashes bytea NOT NULL,
        PRIMARY KEY (level, number)
    );
    ALTER TABLE log_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
    CREATE INDEX log_tile_first_position_idx ON log_tile (first_position) WHERE level = 0;

    CREATE TABLE log_checkpoint (
        newest boolean PRIMARY KEY DEFAULT true CHECK (newest),
        size bigint NOT NULL,
        position bigint NOT NULL,
        note text NOT NULL,
        sealed_at timestamptz NOT NULL
    ) WITH (fillfactor = 50);
    """,
    # What imports were run is told from the log, which has few of these events among all others.
    """
    CREATE INDEX log_events_import_run_idx ON log_events (notification_id)
        WHERE topic LIKE 'import_run.%';
    """,
    # Every process asks at every turn whether somebody was forgotten since the last.
    """
    CREATE INDEX log_events_subject_forgotten_idx ON log_events (notification_id)
        WHERE topic = 'subject.forgotten.v1';
    """,
    # Keys from before were wrapped under what is the first root key now. Who missed a rotation
    # cannot store a key that nobody could unwrap.
    """
    CREATE TABLE root_key (
        number integer PRIMARY KEY,
        service text NOT NULL,
        wrapped bytea NOT NULL,
        made_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE subject_key ADD COLUMN root integer NOT NULL DEFAULT 1;
    ALTER TABLE subject_key ADD CONSTRAINT a_key_is_wrapped_under_a_root_key
        FOREIGN KEY (root) REFERENCES root_key (number) NOT VALID;
    """,
    """
    CREATE TABLE personal_read (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor uuid NOT NULL,
        request_id uuid NOT NULL,
        door text NOT NULL,
        subjects uuid[] NOT NULL,
        fields text[] NOT NULL
    );
    CREATE INDEX personal_read_subjects_idx ON personal_read USING gin (subjects);
    CREATE INDEX personal_read_actor_idx ON personal_read (actor, position);
    CREATE FUNCTION refuse_to_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'personal_read only grows'; END $$;
    CREATE TRIGGER personal_read_only_grows
        BEFORE UPDATE OR DELETE OR TRUNCATE ON personal_read
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite();
    """,
    # Keys are kept as keyed hashes from here on; those from before stood in the clear.
    """
    DELETE FROM idempotency;
    """,
    # Keys are made by who has locked the log, and root keys go by who has: to ask once for all keys
    # of a batch is enough, and a trigger would ask for each.
    """
    ALTER TABLE subject_key DROP CONSTRAINT a_key_is_wrapped_under_a_root_key;
    """,
)


class SchemaTooNew(Exception):
    """The tables were made by a newer Backstory than this one."""


class PostgresTooOld(Exception):
    """The PostgreSQL is older than Backstory works with."""


def migrate(connection: psycopg.Connection[Any], schema: str) -> int:
    """Bring the tables of `schema` to the present version, and return it.

    Processes that start at once take turns; a migration is one transaction, done whole or not.
    """
    version = connection.info.server_version
    if version < OLDEST_POSTGRESQL:
        raise PostgresTooOld(f"PostgreSQL 15 or later is needed; this server says {version}")
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"backstory:{schema}",))
        cursor.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        cursor.execute(SQL("SET LOCAL search_path TO {}").format(Identifier(schema)))
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_version ("
            "version integer PRIMARY KEY, migrated_at timestamptz NOT NULL DEFAULT now())"
        )
        found = cursor.execute("SELECT coalesce(max(version), 0) AS v FROM schema_version")
        row = found.fetchone()
        at = int(row["v"] if isinstance(row, dict) else row[0]) if row else 0
        if at > len(MIGRATIONS):
            raise SchemaTooNew(
                f"schema {schema} is at version {at}; this Backstory knows up to {len(MIGRATIONS)}"
            )
        for number, statements in enumerate(MIGRATIONS[at:], start=at + 1):
            cursor.execute(statements)
            cursor.execute("INSERT INTO schema_version (version) VALUES (%s)", (number,))
    return len(MIGRATIONS)
