"""Doors to customers."""

from api.answers import answer, show
from api.base import accept, doors
from commands.customer import (
    AssignCustomer,
    ChangeCustomerTier,
    CloseCustomer,
    CreateCustomer,
    ReactivateCustomer,
    RenameCustomer,
    SetCustomerCustomFields,
    SetCustomerPreferences,
)
from projections.customer import customer
from readmodels.query import report

router = doors("customers")

answer(router, "/profiles", report("customer_profile"))
answer(router, "/health", report("customer_health_board"))
answer(router, "/revenue", report("customer_revenue"))
answer(router, "/{id}/timeline", report("customer_timeline", "id", of="customer"))
answer(router, "/{id}/records", report("customer_records", "id"))
answer(router, "/{id}/contacts", report("customer_contacts", "id"))
answer(router, "/{id}/deals", report("customer_deals", "id"))
answer(router, "/{id}/tickets", report("customer_tickets", "id"))
answer(router, "/{id}/scores", report("customer_scores", "id"))
show(router, customer)

accept(router, "/{id}/create", CreateCustomer)
accept(router, "/{id}/rename", RenameCustomer)
accept(router, "/{id}/change-tier", ChangeCustomerTier)
accept(router, "/{id}/assign", AssignCustomer)
accept(router, "/{id}/set-preferences", SetCustomerPreferences)
accept(router, "/{id}/close", CloseCustomer)
accept(router, "/{id}/reactivate", ReactivateCustomer)
accept(router, "/{id}/set-custom-fields", SetCustomerCustomFields)
