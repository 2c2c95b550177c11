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
    RetractCustomer,
    SetCustomerCustomFields,
    SetCustomerPreferences,
)
from commands.merger import MergeCustomer, UnmergeCustomer
from commands.subject import (
    ForgetCustomer,
    PlaceCustomerLegalHold,
    ReleaseCustomerLegalHold,
)
from projections.customer import customer
from readmodels.customer import (
    customer_contacts,
    customer_deals,
    customer_health_board,
    customer_profile,
    customer_records,
    customer_revenue,
    customer_scores,
    customer_tickets,
    customer_timeline,
)

router = doors("customers")

answer(router, "/profiles", customer_profile)
answer(router, "/health", customer_health_board)
answer(router, "/revenue", customer_revenue)
answer(router, "/{id}/timeline", customer_timeline)
answer(router, "/{id}/records", customer_records)
answer(router, "/{id}/contacts", customer_contacts)
answer(router, "/{id}/deals", customer_deals)
answer(router, "/{id}/tickets", customer_tickets)
answer(router, "/{id}/scores", customer_scores)
show(router, customer)

accept(router, "/{id}/create", CreateCustomer)
accept(router, "/{id}/rename", RenameCustomer)
accept(router, "/{id}/change-tier", ChangeCustomerTier)
accept(router, "/{id}/assign", AssignCustomer)
accept(router, "/{id}/set-preferences", SetCustomerPreferences)
accept(router, "/{id}/close", CloseCustomer)
accept(router, "/{id}/reactivate", ReactivateCustomer)
accept(router, "/{id}/set-custom-fields", SetCustomerCustomFields)
accept(router, "/{id}/merge", MergeCustomer)
accept(router, "/{id}/unmerge", UnmergeCustomer)
accept(router, "/{id}/forget", ForgetCustomer)
accept(router, "/{id}/place-legal-hold", PlaceCustomerLegalHold)
accept(router, "/{id}/release-legal-hold", ReleaseCustomerLegalHold)
accept(router, "/{id}/retract", RetractCustomer)
