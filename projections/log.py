"""What the tables say of the log itself; these rows need no declaration."""

from readmodels.schema import ID, Column, Table
from readmodels.units import ordinal

event = Table(
    "event",
    "fact",
    (
        Column("type", "VARCHAR", "What happened, such as lead.qualified.v1."),
        Column("correlation_id", "UUID", "What the event belongs to: one request, one import."),
        Column("causation_id", "UUID", "The event that caused this one."),
    ),
    "Every event of the log, also those that could not be read.",
)

stream = Table(
    "stream",
    "plain",
    (
        ID,
        Column("aggregate", "VARCHAR", "What the stream is about, such as lead."),
        Column("version", "BIGINT", ordinal("Version of the stream: the number of its events.")),
        Column("position", "BIGINT", ordinal("Position of its last event.")),
        Column(
            "effective_at", "TIMESTAMPTZ", "The latest time at which one of its events happened."
        ),
    ),
    "Every stream of the log, as it stands now.",
)

poison_event = Table(
    "poison_event",
    "plain",
    (
        Column("position", "BIGINT", ordinal("Position of the event in the log.")),
        Column("stream_id", "UUID", "The stream the event is in."),
        Column("type", "VARCHAR", "Type of the event as it is stored."),
        Column("error", "VARCHAR", "What is wrong with it; it carries no values."),
    ),
    "Events that could not be read; no other table but event knows of them.",
)

poison_value = Table(
    "poison_value",
    "plain",
    poison_event.columns,
    "Events with personal values that could not be opened though their key is at hand.",
    personal=True,
)

MAIN_TABLES = (event, stream, poison_event)
"""Tables of the file that everybody may read."""

PERSONAL_TABLES = (poison_value,)
"""Tables of the file with personal values."""
