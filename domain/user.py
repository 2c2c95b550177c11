"""A user: somebody who works with the CRM. Owners and actors are ids of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never
from uuid import UUID

from domain.base import HIDDEN, Event, Personal, Refusal, State, replace
from domain.values import EmailAddress, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM = UUID("00000000-0000-5000-8000-000000000001")
"""The actor of the clock and of policies."""

MODELS = UUID("00000000-0000-5000-8000-000000000002")
"""The actor of learners."""

Status = Literal["unknown", "active", "inactive"]


class UserRegistered(Event, type="user.registered.v1"):
    """Somebody joined the workspace."""

    name: Personal[Line]
    email: Personal[EmailAddress | None]
    handle: Line | None
    team: Line
    manager_id: UUID | None


class UserTeamChanged(Event, type="user.team_changed.v1"):
    """A user came to another team or manager."""

    team: Line
    manager_id: UUID | None
    previous_team: Line
    previous_manager_id: UUID | None


class UserDeactivated(Event, type="user.deactivated.v1"):
    """A user left and owns nothing new; what was done under the name stays."""


class UserReactivated(Event, type="user.reactivated.v1"):
    """A user came back."""


class UserRetracted(Event, type="user.retracted.v1"):
    """The record was taken back: it is as if the user had never been registered."""

    reason: Line


UserEvent = UserRegistered | UserTeamChanged | UserDeactivated | UserReactivated | UserRetracted


class UserUnknown(Refusal):
    """There is no such user."""


class UserAlreadyRegistered(Refusal):
    """A user with this id was registered before, with other values."""


class UserEmailTaken(Refusal):
    """Another user has this e-mail address."""


class UserHandleTaken(Refusal):
    """Another user has the handle {handle}."""


class UserInactive(Refusal):
    """The user {user_id} is deactivated."""


class UserStillActive(Refusal):
    """The user still works here; deactivate the user first."""


class ManagerNotActive(Refusal):
    """The manager {manager_id} is {status}; only an active user manages others."""


class ManagerBelow(Refusal):
    """The manager {manager_id} is this user or reports to this user."""


@dataclass(frozen=True, slots=True)
class User(State[UserEvent]):
    """What decisions about a user need to know."""

    status: Status = "unknown"
    name: str = ""
    email: str | None = None
    handle: str | None = None
    team: str = ""
    manager_id: UUID | None = None
    registered: UserRegistered | None = None

    def evolve(self, event: UserEvent, /) -> User:
        match event:
            case UserRegistered():
                return replace(
                    self,
                    status="active",
                    name=event.name,
                    email=event.email,
                    handle=event.handle,
                    team=event.team,
                    manager_id=event.manager_id,
                    registered=event,
                )
            case UserTeamChanged():
                return replace(self, team=event.team, manager_id=event.manager_id)
            case UserDeactivated():
                return replace(self, status="inactive")
            case UserReactivated():
                return replace(self, status="active")
            case UserRetracted():
                return User()
            case _:
                assert_never(event)

    def holds(self) -> Iterator[tuple[str, str]]:
        """One user per e-mail address and per handle, also after leaving."""
        if self.email and self.email is not HIDDEN:
            yield email_of_user(self.email)
        if self.handle:
            yield handle_of_user(self.handle)


def email_of_user(email: str) -> tuple[str, str]:
    """What a user with this e-mail address holds."""
    return "user.email", email.casefold()


def handle_of_user(handle: str) -> tuple[str, str]:
    """What a user with this handle holds."""
    return "user.handle", handle.casefold()
