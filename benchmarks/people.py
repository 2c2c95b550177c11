"""A file of people as companies have them: most rows are fine, some come twice, some are wrong.

The same number of rows and the same seed give the same file, to the byte.
"""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, timedelta
from itertools import product
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEADER = (
    *("id", "first_name", "last_name", "email", "phone", "company", "title", "country"),
    *("source", "created"),
)
FIRST = (
    "Ada Ben Carla David Elif Farid Greta Hugo Ines Jamal Karin Liam Marta Nadia Olga Pablo Qing "
    "Rosa Stefan Tarik Ulrike Viktor Wanda Xenia Yusuf Zoe Bruno Clara Diego Emma"
).split()
SYLLABLES = "ba ber cor dan el fin gar hol is jan ker lin mar nor ost pel quin ros sten tam".split()
ENDINGS = "son mann berg er ski ini ez ova dale ford".split()
TITLES = ("Head of IT", "CEO", "Clerk", "Purchasing Manager", "Owner", "-")
COUNTRIES = ("Germany", "France", "GB", "United States", "Italy", "Spain")
SOURCES = ("Web", "Fair", "Referral")
FIRST_DAY = date(2020, 1, 1)
DAYS = 2_000
ROWS_PER_COMPANY = 4
SHARES = {"plain": 90, "repeated": 3, "same address": 3, "typing errors": 2, "wrong": 2}
"""What kinds of rows there are, in percent."""

RECENT = 50_000
"""A row that comes twice does so within so many rows."""

SURNAMES = [
    (first + second + ending).capitalize()
    for first, second, ending in product(SYLLABLES, SYLLABLES, ENDINGS)
]


def write(path: Path, rows: int, seed: int = 1) -> Counter[str]:
    """A file of so many rows; returns how many there are of each kind."""
    chance = Random(seed)  # noqa: S311 - people who do not exist need no secret
    kinds: Counter[str] = Counter()
    recent: list[list[str]] = []
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEADER)
        for number in range(rows):
            [kind] = chance.choices(list(SHARES), list(SHARES.values()))
            row = _person(number, chance)
            if kind != "plain" and recent:
                row = _other(kind, row, recent[chance.randrange(len(recent))], chance)
            else:
                kind = "plain"
                if len(recent) < RECENT:
                    recent.append(row)
                else:
                    recent[number % RECENT] = row
            kinds[kind] += 1
            out.writerow(row)
    return kinds


def _person(number: int, chance: Random) -> list[str]:
    first, last = chance.choice(FIRST), chance.choice(SURNAMES)
    founder = SURNAMES[(number // ROWS_PER_COMPANY) % len(SURNAMES)]
    company = f"{founder} {chance.choice(('GmbH', 'Ltd'))}"
    day = FIRST_DAY + timedelta(days=chance.randrange(DAYS))
    return [
        f"P{number}",
        first,
        last,
        f"{first}.{last}.{number}@{founder}.com".lower(),
        f"+49 {chance.randrange(10**8, 10**9)}",
        company,
        chance.choice(TITLES),
        chance.choice(COUNTRIES),
        chance.choice(SOURCES),
        f"{day:%Y-%m-%d}" if number % 2 else f"{day:%d.%m.%Y}",
    ]


def _other(kind: str, row: list[str], known: list[str], chance: Random) -> list[str]:
    """A row that is not fine."""
    if kind == "repeated":
        return known
    if kind == "same address":
        return [*row[:3], known[3], *row[4:]]
    if kind == "typing errors":
        last = _mistyped(known[2], chance)
        email = f"{known[1]}.{last}@mail.example.org".lower()
        return [row[0], known[1], last, email, known[4], *known[5:8], *row[8:]]
    place, wrong = chance.choice(((3, "no address"), (9, "2024-13-01"), (4, "call me"), (8, "TV")))
    return [*row[:place], wrong, *row[place + 1 :]]


def _mistyped(text: str, chance: Random) -> str:
    at = chance.randrange(1, len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
