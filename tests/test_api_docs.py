"""The documentation the doors give of themselves: whole, true and without the internet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import readmodels
from api.app import create_app
from commands import COMMANDS
from readmodels.macros import macros
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def anybody(node: Node) -> Iterator[Client]:
    with Client(node, UUID(int=0xA), Authorization="") as client:
        yield client


@pytest.fixture(scope="module")
def openapi(node: Node) -> dict[str, Any]:
    return create_app(node).openapi()


def values(tree: Any, name: str) -> Iterator[Any]:
    """Everything that stands under a name, anywhere."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from values(value, name)


def operations(openapi: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in openapi["paths"].values():
        yield from methods.values()


def test_the_way_in_leads_to_the_docs(anybody: Client):
    assert anybody.get("/").headers["Location"] == "/docs"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_docs_need_nothing_from_elsewhere(anybody: Client, path: str):
    page = anybody.get(path)
    assert page.status_code == 200
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert linked
    for link in linked:
        assert link.startswith("/")
        assert anybody.get(link).status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_every_reference_leads_somewhere(openapi: dict[str, Any]):
    schemas = openapi["components"]["schemas"]
    references = set(values(openapi, "$ref"))
    assert references
    assert {ref.removeprefix("#/components/schemas/") for ref in references} <= set(schemas)


def test_every_door_is_described_and_has_a_name_of_its_own(openapi: dict[str, Any]):
    names = [operation["operationId"] for operation in operations(openapi)]
    assert len(names) == len(set(names))
    for operation in operations(openapi):
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]


def test_every_command_has_its_words_and_its_example(openapi: dict[str, Any]):
    told = {operation["operationId"]: operation for operation in operations(openapi)}
    for command in COMMANDS:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", command.__name__).lower()
        content = told[name]["requestBody"]["content"]["application/json"]
        assert isinstance(command.model_validate(content["examples"]["example"]["value"]), command)
        assert told[name]["description"].startswith((command.__doc__ or "").split("\n")[0])


def test_every_report_has_a_door(openapi: dict[str, Any]):
    told = {operation["operationId"]: operation for operation in operations(openapi)}
    sql = "".join(file.read_text() for file in Path(readmodels.__file__).parent.glob("*.sql"))
    reports = set(re.findall(r"MACRO (\w+)\([^)]*\) AS TABLE", sql))
    assert len(reports) > 30
    assert reports <= set(told)
    for name in reports:
        assert told[name]["description"] == macros()[name].description


def test_no_door_for_data_is_open_to_anybody(openapi: dict[str, Any], anybody: Client):
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            if path == "/health":
                continue
            assert operation["security"] == [{"API key": []}]
            assert (
                anybody.ask(method.upper(), path.replace("{id}", str(UUID(int=1)))).status_code
                == 401
            )
