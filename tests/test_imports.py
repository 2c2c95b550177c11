"""Imports: rows become commands, each once, and what changed in a file changes here."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from commands.base import handle
from commands.customer import CloseCustomer
from commands.deal import ChangeDealAmount
from domain.base import fold
from domain.custom_fields import CustomFields, custom_fields_id
from domain.customer import Customer, CustomerCreated
from domain.deal import Deal, DealLost, DealReopened, DealWon
from domain.user import SYSTEM, User
from eventstore.envelope import uuid7
from eventstore.writer import Context, Writer
from imports.base import Import
from imports.feed import IMPORTS, Feed
from imports.rehearsal import Rehearsal
from tests.imports_shop import CUSTOMERS, DEALS, recipe, run, shop, story

if TYPE_CHECKING:
    from domain.base import State
    from eventstore.workspace import Workspace

NAMESPACE = uuid5(IMPORTS, "shop")
MARCH = datetime(2024, 3, 1, tzinfo=UTC)


def id_of(kind: str, key: str) -> UUID:
    return uuid5(NAMESPACE, f"{kind}\x1f{key}")


def state(workspace: Workspace, of: type[State[Any]], kind: str, key: str) -> Any:
    events = workspace.log.read_stream(id_of(kind, key))
    return fold(of(), (recorded.event for recorded in events))


def deal(workspace: Workspace, key: str) -> Deal:
    return state(workspace, Deal, "deal", key)


def types(workspace: Workspace, key: str) -> list[str]:
    """What happened to a deal."""
    events = workspace.log.read_stream(id_of("deal", key))
    return [recorded.event.type.split(".")[1] for recorded in events]


def changed(key: str, before: str, after: str) -> list[str]:
    """The deals, one of them with other text."""
    assert any(line.startswith(f"{key},") and before in line for line in DEALS)
    return [line.replace(before, after) if line.startswith(f"{key},") else line for line in DEALS]


def test_rows_become_records(workspace, tmp_path):
    summary, errors = run(workspace, shop(tmp_path / "shop"))
    assert errors == []
    assert summary.total.rows == 4 + 3 + 1 + 4
    assert (
        summary.total.events == workspace.log.last_position() - 2 - 2
    )  # two custom fields, and the run itself
    won, lost, new, offered = (deal(workspace, key) for key in ("D1", "D2", "D3", "D4"))
    assert (won.status, won.amount, won.currency) == ("won", Decimal(4500), "EUR")
    assert (lost.status, lost.amount) == ("lost", Decimal(55))
    assert (new.status, new.stage, new.amount) == ("open", "new", Decimal(4821))
    assert (offered.status, offered.stage) == ("open", "offered")
    assert won.customer_id == id_of("customer", "Acme")
    assert new.customer_id is None
    assert won.owner == lost.owner == id_of("user", "Moses")
    assert state(workspace, User, "user", "Moses").name == "Moses"
    assert won.custom == {"urgent": True, "seats": 40}
    assert lost.custom == {"urgent": False, "seats": None}
    assert new.custom == {"urgent": None, "seats": None}
    assert won.opened is not None
    assert (won.opened.product, won.opened.name) == ("GTX Pro", "GTX Pro D1")


def test_customers_come_after_their_parents_and_in_whole_euros(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    acme, branch = (state(workspace, Customer, "customer", key) for key in ("Acme", "Branch"))
    assert acme.created.annual_revenue == Decimal("1100040000.00")
    assert acme.created.country == branch.created.country == "DE"
    assert branch.created.annual_revenue is None
    assert branch.created.parent_id == id_of("customer", "Zeta")


def test_custom_fields_are_declared_by_the_recipe(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    events = workspace.log.read_stream(custom_fields_id("deal"))
    declared = fold(CustomFields(), (recorded.event for recorded in events)).declared
    assert [(field.name, field.field_type, field.unit) for field in declared.values()] == [
        ("urgent", "boolean", None),
        ("seats", "integer", "seats"),
    ]


def test_events_happened_when_the_file_says(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    opened, changed_, won = workspace.log.read_stream(id_of("deal", "D1"))
    assert opened.occurred_at == datetime(2024, 2, 10, tzinfo=UTC)
    assert won.occurred_at == changed_.occurred_at == MARCH
    [undated] = workspace.log.read_stream(id_of("deal", "D3"))
    assert undated.occurred_at == datetime(2024, 6, 30, tzinfo=UTC)
    [customer] = workspace.log.read_stream(id_of("customer", "Acme"))
    assert customer.occurred_at == datetime(2024, 1, 1, tzinfo=UTC)


def test_the_envelope_names_the_run_and_the_row_in_its_version(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    opened, _, won = workspace.log.read_stream(id_of("deal", "D1"))
    [other] = workspace.log.read_stream(id_of("deal", "D3"))
    assert opened.causation_id == won.causation_id != other.causation_id
    assert opened.correlation_id == won.correlation_id == other.correlation_id
    assert opened.actor == SYSTEM


def test_what_was_imported_is_not_imported_again(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    before = story(workspace)
    summary, errors = run(workspace, tmp_path / "shop")
    assert (summary.total.events, summary.total.unchanged, errors) == (0, 12, [])
    assert summary.total.skipped == 4 + 3 + 1 + 6
    assert story(workspace) == before


def test_a_change_made_here_stays_when_the_same_file_comes_again(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    ask(workspace, ChangeDealAmount(amount=99, currency="EUR"), id_of("deal", "D4"))
    summary, _ = run(workspace, tmp_path / "shop")
    assert summary.total.events == 0
    assert deal(workspace, "D4").amount == 99


def test_new_rows_are_added_and_the_others_left_alone(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    more = [f"N{n},Moses,MG Special,Acme,New,13.02.2024,,,yes,{n}" for n in range(10)]
    summary, errors = run(workspace, shop(tmp_path / "shop", [*DEALS[:2], *more, *DEALS[2:]]))
    assert errors == []
    assert (summary.total.imported, summary.total.events) == (10, 10)
    assert deal(workspace, "N7").custom["seats"] == 7


def test_a_changed_row_leads_to_what_it_says_now(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    deals = [
        "D1,Violet,GTXPro,Acme,Won,10.02.2024,01.03.2024,4600,yes,40",
        "D2,Moses,MG Special,Branch,Won,11.02.2024,05.03.2024,50,no,0",
        "D3,Violet,GTX Pro,Zeta,Offered,12.07.2024,,,yes,12",
        "D4,Moses,MG Special,Zeta,Lost,12.02.2024,06.03.2024,,no,3",
    ]
    summary, errors = run(workspace, shop(tmp_path / "shop", deals))
    assert errors == []
    assert (summary.steps["deal"].changed, summary.steps["deal"].imported) == (4, 0)
    won, other, offered, lost = (deal(workspace, key) for key in ("D1", "D2", "D3", "D4"))
    violet = id_of("user", "Violet")
    assert (won.status, won.amount, won.owner) == ("won", Decimal(4600), violet)
    assert (other.status, other.amount) == ("won", Decimal(50))
    assert (offered.stage, offered.customer_id) == ("offered", id_of("customer", "Zeta"))
    assert offered.custom == {"urgent": True, "seats": 12}
    assert (lost.status, lost.owner) == ("lost", id_of("user", "Moses"))
    assert types(workspace, "D1") == [
        *("opened", "amount_changed", "won"),
        *("reopened", "assigned", "amount_changed", "won"),
    ]
    assert types(workspace, "D4") == ["opened", "assigned", "lost"]
    again, _ = run(workspace, tmp_path / "shop")
    assert again.total.events == 0


def test_a_correction_is_dated_like_what_it_corrects(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    run(workspace, shop(tmp_path / "shop", changed("D1", "4500", "4600")))
    *_, reopened, _, won = workspace.log.read_stream(id_of("deal", "D1"))
    assert isinstance(reopened.event, DealReopened)
    assert isinstance(won.event, DealWon)
    assert won.occurred_at == reopened.occurred_at == MARCH
    assert won.recorded_at > MARCH


def test_a_change_taken_back_is_a_change(workspace, tmp_path):
    for amount in ("4500", "4600", "4500", "4600"):
        run(workspace, shop(tmp_path / "shop", changed("D1", "4500", amount)))
        assert deal(workspace, "D1").amount == Decimal(amount)
    assert types(workspace, "D1").count("won") == 4
    summary, _ = run(workspace, tmp_path / "shop")
    assert summary.total.events == 0


def test_only_what_changed_is_recorded(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    run(workspace, shop(tmp_path / "shop", changed("D2", ",no,0", ",yes,0")))
    assert types(workspace, "D2") == ["opened", "lost", "custom_fields_set"]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("GTXPro", "MG Special", "product cannot change from 'GTX Pro' to 'MG Special'"),
        ("10.02.", "09.02.", "it happened on 2024-02-10 00:00, which cannot become 2024-02-"),
    ],
)
def test_what_cannot_change_is_an_error_and_changes_nothing(
    workspace, tmp_path, before, after, reason
):
    run(workspace, shop(tmp_path / "shop"))
    was = story(workspace)
    for _ in range(2):
        summary, [error] = run(workspace, shop(tmp_path / "shop", changed("D1", before, after)))
        assert reason in error["reason"]
        assert (error["row"], summary.total.failed, summary.total.events) == ("2", 1, 0)
    assert story(workspace) == was


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("X,Moses,GTX,Acme,New,10.02.2024,,,no,", "product: 'GTX' is not listed in list_price"),
        ("X,Moses,GTX Pro,Acme,Open,10.02.2024,,,no,", "stage: 'Open' is none of New, Offered"),
        ("X,Moses,GTX Pro,Acme,New,2024-02-10,,,no,", "opened: '2024-02-10' is no date (dd.mm.y"),
        ("X,Moses,GTX Pro,Acme,New,10.02.2024,,,maybe,", "urgent: 'maybe' is neither yes"),
        ("X,Moses,GTX Pro,Acme,New,10.02.2024,,,no,3.5x", "seats: '3.5x' is no number"),
        ("X,Moses,GTX Pro,Acme,Won,10.02.2024,,500,no,", "WinDeal has no date"),
        ("X,Moses,GTX Pro,Acme,New,10.02.2999,,,no,", "2999-02-10 00:00 is yet to come"),
        ("X,Moses,GTX Pro,Acme,Won,10.02.2024,1.3.2999,5,no,", "2999-03-01 00:00 is yet to come"),
        ("X,Moses,GTX Pro,Nobody,New,10.02.2024,,,no,", "customer: there is no customer 'Nobody'"),
        ("X,Moses,GTX Pro,Acme,Won,10.02.2024,01.03.2024,-5,no,", "amount: Input should be great"),
        (",Moses,GTX Pro,Acme,New,10.02.2024,,,no,", "id is missing: it names the row"),
        ("X,Moses,,Acme,New,10.02.2024,,,no,", "amount has no value"),
        ("X,Moses,GTX Pro", "the row has 3 cells, the header 10"),
        ("D1,Moses,GTXPro,Acme,New,10.02.2024,,,no,", "'D1' stands in this file before, with o"),
        ("X,Moses,GTX Pro,Acme,New,10.02.2024,,,no\x00,", "is neither yes"),
        (
            '"X\ud800",Moses,GTX Pro,Acme,New,10.02.2024,,,no,',
            "the row holds bytes that are no text in utf-8",
        ),
    ],
)
def test_a_row_that_makes_no_sense_is_told_with_its_number_and_its_cells(
    workspace, tmp_path, line, reason
):
    folder = shop(tmp_path / "shop")
    bad = line.encode("utf-8", "surrogatepass")
    with (folder / "deals.csv").open("ab") as file:
        file.write(bad + b"\n")
    summary, [error] = run(workspace, folder)
    assert reason in error["reason"]
    assert (error["file"], error["row"]) == ("deals.csv", "6")
    assert error["step"] == ("agent" if "the row h" in reason else "deal")
    assert json.loads(error["record"]).get("product", "GTX Pro") in {"GTX Pro", "GTXPro", "GTX", ""}
    assert (summary.total.failed, summary.steps["deal"].imported) == (1, 4)


def test_every_reason_is_told_at_once(workspace, tmp_path):
    line = "X,Moses,GTX,Acme,Open,soon,,,maybe,"
    _, [error] = run(workspace, shop(tmp_path / "shop", [*DEALS, line]))
    assert error["reason"].count("; ") == 3


def test_an_error_that_is_mended_is_forgotten(workspace, tmp_path):
    line = "X,Moses,GTX,Acme,New,10.02.2024,,,no,"
    run(workspace, shop(tmp_path / "shop", [*DEALS, line]))
    assert (tmp_path / "shop" / "errors.csv").exists()
    summary, errors = run(
        workspace, shop(tmp_path / "shop", [*DEALS, line.replace("GTX,", "GTX Pro,")])
    )
    assert (summary.total.imported, errors) == (1, [])
    assert not (tmp_path / "shop" / "errors.csv").exists()


def test_what_the_business_refuses_is_told_and_the_rest_goes_on(workspace, tmp_path):
    folder = shop(tmp_path / "shop", customers=CUSTOMERS + "ACME,de,-,\n")
    summary, [error] = run(workspace, folder)
    assert error["reason"].startswith("CreateCustomer: The customer ")
    assert error["reason"].endswith("already goes by this name.")
    assert summary.total.failed == 1
    assert deal(workspace, "D4").status == "open"


def test_rows_that_name_each_other_as_parents_are_refused(workspace, tmp_path):
    customers = CUSTOMERS + "Chicken,de,-,Egg\nEgg,de,-,Chicken\nOrphan,de,-,Nowhere\n"
    summary, errors = run(workspace, shop(tmp_path / "shop", customers=customers))
    assert len(errors) == 3
    for error in errors:
        assert error["reason"].startswith("CreateCustomer: parent_id names ")
        assert error["reason"].endswith(", which is no customer.")
    assert summary.steps["customer"].imported == 3


def test_dates_that_run_backwards_are_counted(workspace, tmp_path):
    line = "X,Moses,GTX Pro,Acme,Won,10.02.2024,01.02.2024,4821,no,"
    summary, errors = run(workspace, shop(tmp_path / "shop", [*DEALS, line]))
    assert (summary.total.clipped, errors) == (1, [])
    assert deal(workspace, "X").status == "won"


def test_a_dry_run_says_what_would_be_and_does_nothing(workspace, tmp_path):
    folder = shop(tmp_path / "shop", [*DEALS, "X,Moses,GTX Pro,Nobody,New,10.02.2024,,,no,"])
    log = workspace.log
    dry = Import(Feed(recipe(folder), folder), log, Rehearsal(log)).run()
    assert log.last_position() == 0
    wet, _ = run(workspace, folder)
    assert dry.total == wet.total
    ask(workspace, CloseCustomer(reason="Insolvent"), id_of("customer", "Zeta"))
    shop(folder, [*DEALS, "Y,Moses,GTX Pro,Zeta,New,10.02.2024,,,no,"])
    dry = Import(Feed(recipe(folder), folder), log, Rehearsal(log)).run()
    assert (dry.total.failed, dry.total.imported) == (1, 0)


def test_a_field_declared_otherwise_stops_the_import(workspace, tmp_path):
    folder = shop(tmp_path / "shop")
    run(workspace, folder)
    text = (folder / "shop.toml").read_text(encoding="utf-8")
    (folder / "shop.toml").write_text(
        text.replace('type = "boolean"', 'type = "text"'), encoding="utf-8"
    )
    with pytest.raises(Exception, match="urgent is already declared with another type"):
        run(workspace, folder)


def test_many_rows_go_through_a_small_queue(workspace, tmp_path):
    lines = [f"M{n},Moses,MG Special,Acme,New,13.02.2024,,,yes,{n}" for n in range(1_200)]
    folder = shop(tmp_path / "shop", lines)
    with Writer(workspace.log, waiting_max=3) as writer:
        summary = Import(Feed(recipe(folder), folder), workspace.log, writer).run()
    assert summary.steps["deal"].imported == 1_200
    events = [e for e in workspace.log.read(types=["deal"]) if e.event.type == "deal.opened.v1"]
    assert [event.event.custom["seats"] for event in events if event.event.custom["seats"]] == [
        *range(1, 1_200)
    ]


def test_the_records_of_two_recipes_do_not_mix(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    other = shop(tmp_path / "other")
    text = (other / "shop.toml").read_text(encoding="utf-8")
    (other / "shop.toml").write_text(text.replace('"shop"', '"other"'), encoding="utf-8")
    _, errors = run(workspace, other)
    assert {error["step"] for error in errors} == {"customer", "deal"}
    created = [e for e in workspace.log.read() if isinstance(e.event, CustomerCreated)]
    lost = [e for e in workspace.log.read() if isinstance(e.event, DealLost)]
    assert (len(created), len(lost)) == (3, 1)


def ask(workspace: Workspace, command: Any, stream_id: UUID) -> None:
    """Somebody asks something of a record, beside all imports."""
    with Writer(workspace.log) as writer:
        context = Context(actor=SYSTEM, correlation_id=uuid7())
        handle(writer, command, stream_id, context).result(30)
