"""What readers see of undoing: what was undone, and what stood against it."""

from domain.contact import ContactSeparated
from domain.customer import CustomerSeparated
from domain.lead import LeadUnconverted
from domain.ticket import TicketSeparated
from projections.base import FactTable, field, row

undo = FactTable(
    "undo",
    on={
        LeadUnconverted: row(kind="conversion", conflicts=field),
        ContactSeparated: row(kind="merger", conflicts=field),
        CustomerSeparated: row(kind="merger", conflicts=field),
        TicketSeparated: row(kind="merger", conflicts=field),
    },
    description="What was undone, of which record (of a merger, the one that others were merged "
    "into); and the later changes that were left as they are.",
    columns={
        "kind": "What was undone: a conversion or a merger.",
        "conflicts": "Later changes that stood against it, as a list of kind, id and field.",
    },
)
