"""What the documentation says is run: every command of a console block, every link, every word.

The commands run in a directory where the demo was told, as the README says. Imports need the data
folder (`BACKSTORY_DATA`, by default ../shared/data) and are skipped where it is absent.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from api.node import Node
from cli import main
from cli.session import session
from cli.tables import tables
from eventstore.postgres import EmbeddedPostgres
from replay.base import bounds
from tests.doors import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("BACKSTORY_DATA", ROOT.parent / "shared" / "data"))
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("imports/*.md")])
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```toml\n# (\S+\.toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
UNTIL = "2026-11-22"
SECONDS = 300


def commands() -> list[Any]:
    """Every command line of every console block, with the page it stands on."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            for line in block.splitlines():
                if line.startswith("$ "):
                    found.setdefault(line[2:], page.name)
    return [pytest.param(line, id=f"{page}: {line}") for line, page in found.items()]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BACKSTORY_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A directory in which the demo was told, with files of the pages, and what it said last."""
    folder = tmp_path_factory.mktemp("docs")
    for page in PAGES:
        for name, content in FILE.findall(page.read_text()):
            (folder / name).write_text(content)
    done = run(folder, "demo", "--once", "--json", "--until", UNTIL)
    assert done.returncode == 0, done.stderr[-2_000:]
    with EmbeddedPostgres(folder / "data" / "postgres"):  # each verb would start one of its own
        yield folder, json.loads(done.stdout)


@pytest.mark.timeout(SECONDS)
def test_the_demo_tells_what_it_did(told: tuple[Path, dict[str, Any]]):
    _, result = told
    assert result["digests_equal"] is True
    assert result["findings"] == []
    assert result["events"] > 20_000
    assert set(result["seconds"]) == {"tell", "learn", "project", "verify", "rebuild"}
    assert {"deal", "lead", "score", "event"} <= set(result["digests"])


@pytest.mark.timeout(SECONDS)
def test_the_demo_told_again_tells_nothing_new(told: tuple[Path, dict[str, Any]]):
    folder, before = told
    again = run(folder, "demo", "--once", "--json", "--until", UNTIL)
    assert again.returncode == 0, again.stderr[-2_000:]
    result = json.loads(again.stdout)
    assert result["events"] == before["events"]
    assert result["digests"] == before["digests"]


@pytest.mark.timeout(SECONDS)
@pytest.mark.filterwarnings("default")  # as on the command line
@pytest.mark.parametrize("line", commands())
def test_a_documented_command_runs(
    line: str,
    told: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    program, *arguments = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    assert program == "backstory"
    folder, _ = told
    if arguments[0] == "import":
        source = DATA / Path(arguments[-1]).name
        if not source.exists():
            pytest.skip(f"the data are not here: {source}")
        folder, arguments = tmp_path, [*arguments[:-1], str(source)]
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("BACKSTORY_")]:
        monkeypatch.delenv(name)
    capsys.readouterr()
    code = main(arguments)  # in this process: to load all there is takes longer than most verbs
    said = capsys.readouterr()
    assert code == 0, said.err[-2_000:]
    assert said.out or said.err


@pytest.mark.timeout(SECONDS)
def test_the_prepared_notebook_shows_what_the_tables_say(told: tuple[Path, dict[str, Any]]):
    """It was run among the commands, in a kernel of its own."""
    notebook = json.loads((told[0] / "june.ipynb").read_text())
    shown = {}
    for cell in (cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        for output in cell["outputs"]:
            assert output["output_type"] == "execute_result", output
            shown["".join(cell["source"]).splitlines()[0]] = output["data"]
    pictures = {source for source, each in shown.items() if "image/png" in each}
    assert pictures == {f"then.draw({said})" for said in (
        '"funnel"', '"waterfall", SINCE', '"cohort"', '"scores"')}  # fmt: skip
    for name in pictures:
        picture = base64.b64decode("".join(shown[name]["image/png"]))
        width, height = struct.unpack(">II", picture[16:24])
        assert picture.startswith(b"\x89PNG")
        assert width > 1_000
        assert height > 400
    with session(told[0] / "data", None, "test") as opened, tables(opened) as held:
        within = bounds(opened.workspace.log, "2026-06-30")
        [(captured,)] = held.sql("SELECT sum(captured) FROM lead_funnel()", within).rows()
        [(closing,)] = held.sql("SELECT closing FROM pipeline_waterfall()", within).rows()
    texts = {name: "".join(each["text/plain"]) for name, each in shown.items()}
    steps = next(text for name, text in texts.items() if name.startswith('then.sql("""'))
    found = [int(row.split("┆")[1]) for row in steps.splitlines() if re.search(r"┆ \d", row)]
    assert sum(found) == captured
    assert any(str(closing) in text for name, text in texts.items() if name.startswith("since"))
    assert "as of 2026-06-30 23:59 UTC" in texts["from cli.look import Look"]


@pytest.mark.timeout(SECONDS)
def test_a_read_node_started_beside_a_long_log_stays_within_its_memory(
    told: tuple[Path, dict[str, Any]],
):
    with session(told[0] / "data", None, "test") as opened:
        url, last = opened.workspace.database_url, opened.workspace.log.last_position()
        assert last > 40_000
        with Node.open(told[0] / "data", url) as node, Client(node, UUID(int=1)) as ann:
            node.questions.start()
            counted = {"sql": "SELECT count(*) AS events FROM event"}
            deadline = time.monotonic() + 120
            while not (
                reply := ann.post("/sql", counted, params={"min_position": last})
            ).is_success:
                assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
                assert time.monotonic() < deadline
            found = ann.get("/health").json()["read_node"]
    assert reply.json()["position"] == last
    assert found["alive"]
    assert found["tables"] == {"position": last, "behind_events": 0, "behind_seconds": 0.0}
    assert 0 < found["memory_bytes"] < found["memory_bytes_max"] / 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    broken = [
        target
        for target in LINK.findall(page.read_text())
        if not target.startswith(("http:", "https:")) and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_decision_is_listed():
    listed = (ROOT / "docs/adr/README.md").read_text()
    pages = {page.name for page in (ROOT / "docs/adr").glob("0*.md")}
    assert {name for name in pages if name not in listed} == set()


def test_every_feature_names_evidence_that_exists():
    page = (ROOT / "docs/features.md").read_text()
    named = set(re.findall(r"`((?:tests|benchmarks)/[\w/.]+)`", page))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_story_of_the_demo_is_the_same_each_time():
    from cli.demo.history import history  # noqa: PLC0415

    end = datetime(2026, 7, 1, tzinfo=UTC)
    assert history(end) == history(end)
