"""Questions about mergers: their SQL is in merger.sql."""

from uuid import UUID

from readmodels.query import report
from readmodels.units import ordinal

records_merged = report(
    "records_merged",
    where={"kind": str, "merged_into": UUID},
    columns={
        "id": "The record that is merged.",
        "kind": "contact, customer or ticket.",
        "merged_into": "The one it is shown with.",
        "merged_at": "Since when.",
        "position": ordinal("Position of the event that says so."),
    },
)
