"""The page for analysts is current: its diagram and the answers to its questions."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

from tests.analysts import PAGE, QUESTION, demo, filled

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_says_what_the_tables_say(tmp_path: Path):
    page = PAGE.read_text()
    with closing(demo(str(tmp_path))) as tables:
        assert filled(page, tables.database) == page, "run `make reference`"


def test_twenty_questions_are_asked_and_answered():
    page = PAGE.read_text()
    numbers = [int(n) for n in re.findall(r"^### (\d+)\. ", page, re.MULTILINE)]
    answers = QUESTION.findall(page)
    assert numbers == list(range(1, 21))
    assert len(answers) == 20
    assert all(len(answer.splitlines()) > 1 for _, answer in answers)
