"""Users come, change teams, leave and come back."""

from __future__ import annotations

import pytest

from commands.user import ChangeUserTeam, DeactivateUser, ReactivateUser, RegisterUser, may_own
from domain.base import HIDDEN, ReferenceUnknown, fold
from domain.user import (
    ManagerBelow,
    ManagerNotActive,
    User,
    UserAlreadyRegistered,
    UserDeactivated,
    UserEmailTaken,
    UserHandleTaken,
    UserInactive,
    UserReactivated,
    UserRegistered,
    UserRetracted,
    UserTeamChanged,
    UserUnknown,
)
from tests.given import HERE, given, new_id

BOSS, OTHER = new_id("boss"), new_id("other")
MOSES = {
    "name": "Moses Frase",
    "email": "moses@example.com",
    "handle": "moses.frase",
    "team": "Central",
    "manager_id": None,
}
REGISTERED = UserRegistered(**MOSES)
DEACTIVATED = UserDeactivated()
BOSS_REGISTERED = UserRegistered(
    name="Dustin Brinkmann", email=None, handle="dustin", team="Central", manager_id=None
)
MOVED = UserTeamChanged(
    team="West", manager_id=BOSS, previous_team="Central", previous_manager_id=None
)


def test_somebody_joins():
    given().when(RegisterUser(**MOSES)).then(REGISTERED)


def test_somebody_joins_below_a_manager():
    joined = UserRegistered(**MOSES | {"manager_id": BOSS})
    world = given().and_on(BOSS, BOSS_REGISTERED)
    world.when(RegisterUser(**MOSES | {"manager_id": BOSS})).then(joined)


def test_a_sales_rep_of_an_import_has_a_handle_and_no_address():
    rep = {"name": "Moses Frase", "handle": "moses.frase", "team": "Central"}
    given().when(RegisterUser(**rep)).then(UserRegistered(**MOSES | {"email": None}))


def test_a_user_is_registered_once():
    given(REGISTERED).when(RegisterUser(**MOSES)).nothing()


def test_a_user_is_not_registered_again_with_other_values():
    given(REGISTERED).when(RegisterUser(**MOSES | {"team": "West"})).refused(UserAlreadyRegistered)


def test_a_registration_is_still_the_same_after_the_team_changed():
    given(REGISTERED, MOVED).when(RegisterUser(**MOSES)).nothing()


@pytest.mark.parametrize("email", ["moses@example.com", "Moses@EXAMPLE.com"])
def test_two_users_do_not_share_an_address(email):
    rival = UserRegistered(**MOSES | {"handle": None})
    wish = RegisterUser(**MOSES | {"email": email, "handle": "other"})
    given().and_on(OTHER, rival).when(wish).refused(UserEmailTaken)


def test_two_users_do_not_share_a_handle():
    rival = UserRegistered(**MOSES | {"email": None})
    wish = RegisterUser(**MOSES | {"handle": "Moses.Frase"})
    given().and_on(OTHER, rival).when(wish).refused(UserHandleTaken, handle="Moses.Frase")


def test_the_address_of_somebody_who_left_stays_taken():
    world = given().and_on(OTHER, REGISTERED, DEACTIVATED)
    world.when(RegisterUser(**MOSES | {"handle": None})).refused(UserEmailTaken)


def test_a_manager_is_somebody_who_was_registered():
    wish = RegisterUser(**MOSES | {"manager_id": BOSS})
    given().when(wish).refused(ReferenceUnknown, field="manager_id", id=BOSS)


def test_somebody_who_left_manages_nobody_new():
    world = given(REGISTERED).and_on(BOSS, BOSS_REGISTERED, DEACTIVATED)
    wish = ChangeUserTeam(team="West", manager_id=BOSS)
    world.when(wish).refused(ManagerNotActive, manager_id=BOSS, status="inactive")


def test_somebody_who_left_is_no_manager_of_who_joins():
    wish = RegisterUser(**MOSES | {"manager_id": BOSS})
    world = given().and_on(BOSS, BOSS_REGISTERED, DEACTIVATED)
    world.when(wish).refused(ManagerNotActive, manager_id=BOSS, status="inactive")


def test_who_was_taken_back_does_not_join_again_below_somebody_of_theirs():
    below = BOSS_REGISTERED.model_copy(update={"manager_id": HERE})
    world = given(REGISTERED, UserRetracted(reason="By mistake")).and_on(BOSS, below)
    world.when(RegisterUser(**MOSES | {"manager_id": BOSS})).refused(ManagerBelow, manager_id=BOSS)


def test_a_user_comes_to_another_team_and_manager():
    world = given(REGISTERED).and_on(BOSS, BOSS_REGISTERED)
    world.when(ChangeUserTeam(team="West", manager_id=BOSS)).then(MOVED)


def test_a_user_who_is_in_the_team_already_stays():
    given(REGISTERED, MOVED).when(ChangeUserTeam(team="West", manager_id=BOSS)).nothing()


def test_the_team_of_an_unknown_user_does_not_change():
    given().when(ChangeUserTeam(team="West")).refused(UserUnknown)


def test_the_team_of_somebody_who_left_does_not_change():
    wish = ChangeUserTeam(team="West")
    given(REGISTERED, DEACTIVATED).when(wish).refused(UserInactive, user_id=HERE)


def test_nobody_is_their_own_manager():
    wish = ChangeUserTeam(team="Central", manager_id=HERE)
    given(REGISTERED).when(wish).refused(ManagerBelow, manager_id=HERE)


def test_nobody_joins_as_their_own_manager():
    wish = RegisterUser(**MOSES | {"manager_id": HERE})
    given().when(wish).refused(ReferenceUnknown, field="manager_id", id=HERE)


def test_a_manager_does_not_report_to_the_user_in_turn():
    below = BOSS_REGISTERED.model_copy(update={"manager_id": OTHER})
    between = BOSS_REGISTERED.model_copy(update={"manager_id": HERE, "handle": "between"})
    world = given(REGISTERED).and_on(BOSS, below).and_on(OTHER, between)
    world.when(ChangeUserTeam(team="Central", manager_id=BOSS)).refused(ManagerBelow)


def test_a_user_leaves():
    given(REGISTERED).when(DeactivateUser()).then(DEACTIVATED)


def test_a_user_leaves_once():
    given(REGISTERED, DEACTIVATED).when(DeactivateUser()).nothing()


def test_an_unknown_user_does_not_leave():
    given().when(DeactivateUser()).refused(UserUnknown)


def test_a_user_comes_back():
    given(REGISTERED, DEACTIVATED).when(ReactivateUser()).then(UserReactivated())


def test_a_user_who_is_here_need_not_come_back():
    given(REGISTERED).when(ReactivateUser()).nothing()


def test_an_unknown_user_does_not_come_back():
    given().when(ReactivateUser()).refused(UserUnknown)


def test_somebody_who_left_gets_no_work():
    with pytest.raises(UserInactive):
        may_own(given(REGISTERED, DEACTIVATED), HERE)


def test_a_user_read_without_keys_still_folds_and_keeps_the_handle():
    hidden = UserRegistered(**MOSES | {"name": HIDDEN, "email": HIDDEN})
    user = fold(User(), [hidden, MOVED])
    assert (user.team, list(user.holds())) == ("West", [("user.handle", "moses.frase")])
