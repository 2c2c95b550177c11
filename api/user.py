"""Doors to users."""

from api.base import accept, doors
from commands.user import ChangeUserTeam, DeactivateUser, ReactivateUser, RegisterUser

router = doors("users")

accept(router, "/{id}/register", RegisterUser)
accept(router, "/{id}/change-team", ChangeUserTeam)
accept(router, "/{id}/deactivate", DeactivateUser)
accept(router, "/{id}/reactivate", ReactivateUser)
