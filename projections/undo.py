"""What readers see of undoing: what was undone, and what stood against it."""

from domain.lead import LeadUnconverted
from projections.base import FactTable, field, row

undo = FactTable(
    "undo",
    on={
        LeadUnconverted: row(kind="conversion", conflicts=field),
    },
    description="What was undone, by the record it was asked of; and the later changes that were "
    "left as they are.",
    columns={
        "kind": "What was undone: a conversion, a merger or a closing.",
        "conflicts": "Later changes that stood against it, as a list of kind, id and field.",
    },
)
