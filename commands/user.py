"""What can be asked of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.base import Command, Reference, World
from domain.undo import Conflict
from domain.user import (
    ManagerBelow,
    ManagerNotActive,
    User,
    UserAlreadyRegistered,
    UserDeactivated,
    UserEmailTaken,
    UserEvent,
    UserHandleTaken,
    UserInactive,
    UserReactivated,
    UserRegistered,
    UserRetracted,
    UserTeamChanged,
    UserUnknown,
    email_of_user,
    handle_of_user,
)
from domain.values import EmailAddress, Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID


class RegisterUser(Command[User], creates=True):
    """Add somebody to the workspace."""

    name: Line
    email: EmailAddress | None = None
    handle: Line | None = None
    team: Line
    manager_id: Reference[User] | None = None

    example = {
        "name": "Ann Example",
        "email": "ann@example.com",
        "handle": "ann.example",
        "team": "Central",
    }

    def claims(self) -> Iterator[tuple[str, str]]:
        if self.email:
            yield email_of_user(self.email)
        if self.handle:
            yield handle_of_user(self.handle)

    def decide_in(self, world: World, user: User, /) -> Iterator[UserEvent]:
        registered = UserRegistered(**self.fields())
        if user.registered == registered:
            return
        if user.registered is not None:
            raise UserAlreadyRegistered
        if self.email and world.holder(*email_of_user(self.email)):
            raise UserEmailTaken
        if self.handle and world.holder(*handle_of_user(self.handle)):
            raise UserHandleTaken(handle=self.handle)
        may_manage(world, self.manager_id)
        yield registered


class ChangeUserTeam(Command[User]):
    """Move a user to another team or manager."""

    team: Line
    manager_id: Reference[User] | None = None

    example = {"team": "West", "manager_id": "00000000-0000-4000-8000-000000000002"}

    def decide_in(self, world: World, user: User, /) -> Iterator[UserEvent]:
        known(user)
        if user.status == "inactive":
            raise UserInactive(user_id=world.id)
        if (user.team, user.manager_id) == (self.team, self.manager_id):
            return
        may_manage(world, self.manager_id)
        yield UserTeamChanged(
            **self.fields(), previous_team=user.team, previous_manager_id=user.manager_id
        )


class DeactivateUser(Command[User]):
    """Let a user own nothing new."""

    example = {}

    def decide(self, user: User, /) -> Iterator[UserEvent]:
        known(user)
        if user.status == "active":
            yield UserDeactivated()


class ReactivateUser(Command[User]):
    """Let a deactivated user work again."""

    example = {}

    def decide(self, user: User, /) -> Iterator[UserEvent]:
        known(user)
        if user.status == "inactive":
            yield UserReactivated()


class RetractUser(Command[User]):
    """Take back a user that should never have been registered; its history stays."""

    reason: Line

    example = {"reason": "Imported by mistake"}

    def decide(self, user: User, /) -> Iterator[UserEvent]:
        known(user)
        yield UserRetracted(reason=self.reason)


def known(user: User) -> None:
    """Refuse what is asked of a user who was never registered."""
    if user.status == "unknown":
        raise UserUnknown


def may_manage(world: World, manager_id: UUID | None) -> None:
    """Refuse a manager who does not work here, or who reports to the user of the command."""
    if manager_id is None:
        return
    manager = world.load(User, manager_id)
    if manager_id != world.id and manager.status != "active":
        raise ManagerNotActive(manager_id=manager_id, status=manager.status)
    above: UUID | None = manager_id
    while above is not None:
        if above == world.id:
            raise ManagerBelow(manager_id=manager_id)
        above = world.load(User, above).manager_id


def may_own(world: World, user_id: UUID) -> None:
    """Refuse to give work to somebody who left."""
    if world.load(User, user_id).status == "inactive":
        raise UserInactive(user_id=user_id)


def who_left(world: World, owner: UUID | None) -> Iterator[Conflict]:
    """What stands against taking up again the work of somebody who left."""
    if owner and world.load(User, owner).status == "inactive":
        yield Conflict(kind="user", id=owner, field="status")
