"""Doors to contacts."""

from api.base import accept, doors
from commands.contact import (
    ArchiveContact,
    ChangeContactEmail,
    ChangeContactPhone,
    ChangeContactTitle,
    CreateContact,
    GrantConsent,
    LinkContact,
    RenameContact,
    SetContactCustomFields,
    UnlinkContact,
    WithdrawConsent,
)

router = doors("contacts")

accept(router, "/{id}/create", CreateContact)
accept(router, "/{id}/rename", RenameContact)
accept(router, "/{id}/change-email", ChangeContactEmail)
accept(router, "/{id}/change-phone", ChangeContactPhone)
accept(router, "/{id}/change-title", ChangeContactTitle)
accept(router, "/{id}/link", LinkContact)
accept(router, "/{id}/unlink", UnlinkContact)
accept(router, "/{id}/grant-consent", GrantConsent)
accept(router, "/{id}/withdraw-consent", WithdrawConsent)
accept(router, "/{id}/archive", ArchiveContact)
accept(router, "/{id}/set-custom-fields", SetContactCustomFields)
