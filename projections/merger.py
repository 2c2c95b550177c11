"""What readers see of records that were merged into others."""

from domain.contact import ContactMerged, ContactUnmerged
from domain.customer import CustomerMerged, CustomerUnmerged
from domain.ticket import TicketMerged, TicketUnmerged
from projections.base import FactTable, field, row

merger = FactTable(
    "merger",
    on={
        ContactMerged: row(kind="contact", merged_into=field, taken=field, reason=field),
        ContactUnmerged: row(kind="contact", reason=field),
        CustomerMerged: row(kind="customer", merged_into=field, taken=field, reason=field),
        CustomerUnmerged: row(kind="customer", reason=field),
        TicketMerged: row(kind="ticket", merged_into=field, taken=field, reason=field),
        TicketUnmerged: row(kind="ticket", reason=field),
    },
    description="Records that were merged into others, or unmerged: while one is merged it is in "
    "no table but the histories, and what refers to it is shown as referring to the other one.",
    columns={
        "kind": "contact, customer or ticket.",
        "merged_into": "The record it was merged into; NULL: it was unmerged.",
        "taken": "The values that the other one took over, by name.",
        "reason": "Why.",
    },
)
