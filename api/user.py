"""Doors to users."""

from api.answers import answer, show
from api.base import accept, doors
from commands.user import ChangeUserTeam, DeactivateUser, ReactivateUser, RegisterUser
from projections.user import user
from readmodels.query import report

router = doors("users")

answer(router, "/performance", report("owner_performance"))
answer(router, "/sales", report("owner_sales"))
show(router, user)

accept(router, "/{id}/register", RegisterUser)
accept(router, "/{id}/change-team", ChangeUserTeam)
accept(router, "/{id}/deactivate", DeactivateUser)
accept(router, "/{id}/reactivate", ReactivateUser)
