"""Doors to contacts."""

from api.answers import answer, show
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
    RetractContact,
    SetContactCustomFields,
    UnlinkContact,
    WithdrawConsent,
)
from commands.merger import MergeContact, UnmergeContact
from commands.subject import (
    ForgetContact,
    PlaceContactLegalHold,
    ReleaseContactLegalHold,
)
from projections.contact import contact
from readmodels.contact import contact_sendings
from readmodels.query import members

router = doors("contacts")

answer(router, "/{id}/roles", members("contact_role", "id"))
answer(router, "/{id}/consents", members("contact_consent", "id"))
answer(router, "/{id}/sendings", contact_sendings)
show(router, contact)

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
accept(router, "/{id}/merge", MergeContact)
accept(router, "/{id}/unmerge", UnmergeContact)
accept(router, "/{id}/forget", ForgetContact)
accept(router, "/{id}/place-legal-hold", PlaceContactLegalHold)
accept(router, "/{id}/release-legal-hold", ReleaseContactLegalHold)
accept(router, "/{id}/retract", RetractContact)
