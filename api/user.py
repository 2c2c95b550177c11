"""Doors to users."""

from api.answers import answer, show
from api.base import accept, doors
from commands.subject import ForgetUser
from commands.user import ChangeUserTeam, DeactivateUser, ReactivateUser, RegisterUser, RetractUser
from projections.user import user
from readmodels.user import owner_performance, owner_sales

router = doors("users")

answer(router, "/performance", owner_performance)
answer(router, "/sales", owner_sales)
show(router, user)

accept(router, "/{id}/register", RegisterUser)
accept(router, "/{id}/change-team", ChangeUserTeam)
accept(router, "/{id}/deactivate", DeactivateUser)
accept(router, "/{id}/reactivate", ReactivateUser)
accept(router, "/{id}/forget", ForgetUser)
accept(router, "/{id}/retract", RetractUser)
