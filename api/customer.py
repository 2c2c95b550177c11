"""Doors to customers."""

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

router = doors("customers")

accept(router, "/{id}/create", CreateCustomer)
accept(router, "/{id}/rename", RenameCustomer)
accept(router, "/{id}/change-tier", ChangeCustomerTier)
accept(router, "/{id}/assign", AssignCustomer)
accept(router, "/{id}/set-preferences", SetCustomerPreferences)
accept(router, "/{id}/close", CloseCustomer)
accept(router, "/{id}/reactivate", ReactivateCustomer)
accept(router, "/{id}/set-custom-fields", SetCustomerCustomFields)
