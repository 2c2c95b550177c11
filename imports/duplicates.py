"""Who stands in the whole base more than once: pairs by Splink, clusters of pairs, and why.

Splink weighs evidence as Fellegi and Sunter do: each comparison that agrees, or does not, makes it
so much more or less likely that two records are one. The weights are fixed here rather than learned
from the base, so that the same base always gives the same answer, also a small one.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import pyarrow as pa

from imports.likeness import keys, traits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from splink import SettingsCreator

THRESHOLD = 0.9
BLOCK_MAX = 200
"""What more records have in common than this says nothing; they are not compared for it alone."""

DOUBLES_PER_RECORD = 0.05
"""Expected beforehand: so many records have a double."""

PEOPLE = """
SELECT 'lead' AS kind, lead.id::text AS id, p.name, p.email, p.phone, lead.company, NULL AS website
FROM lead JOIN lead_personal AS p USING (id) WHERE lead.status IN ('open', 'qualified')
UNION ALL
SELECT 'contact', contact.id::text, p.name, p.email, p.phone, works.company, NULL
FROM contact JOIN contact_personal AS p USING (id) LEFT JOIN (
    SELECT role.id, min(customer.name) AS company
    FROM contact_role AS role JOIN customer ON customer.id = role.customer_id
    WHERE role.status = 'current' GROUP BY role.id
) AS works ON works.id = contact.id
WHERE contact.status = 'active'
"""
CUSTOMERS = """
SELECT 'customer' AS kind, id::text AS id, NULL AS name, NULL AS email, NULL AS phone,
    name AS company, website
FROM customer WHERE status = 'active'
"""
QUESTIONS = {"people": PEOPLE, "customers": CUSTOMERS}

TOLD = ("kind", "id", "name", "email", "phone", "company")
COLUMNS = ("name", "email", "mailbox", "company", "phone", "website")
AGREES = {
    "name": ("name", "name nearly", "name roughly"),
    "email": ("e-mail", "mailbox"),
    "company": ("company", "company nearly"),
    "phone": ("phone",),
    "website": ("website",),
}
"""How a comparison says that it agrees, from wholly to a little."""


class SplinkMissing(Exception):
    """Looking for duplicates needs Splink: install Backstory with `backstory[dedupe]`."""


class Member(NamedTuple):
    """A record of a cluster: how sure it is that it belongs there, and because of what."""

    cluster: int
    probability: float
    because: str
    kind: str
    id: str
    name: str | None
    email: str | None
    phone: str | None
    company: str | None


class Pair(NamedTuple):
    """Two records that may be one."""

    one: str
    other: str
    probability: float
    because: str


def duplicates(records: Sequence[dict[str, Any]], threshold: float = THRESHOLD) -> list[Member]:
    """Clusters of records that are one with at least this probability, the surest first.

    A record is a row of one of the `QUESTIONS`. Raises `SplinkMissing`.
    """
    by_id = {f"{record['kind']} {record['id']}": record for record in records}
    found = pairs(by_id, threshold)
    best: dict[str, Pair] = {}
    for pair in sorted(found, key=lambda pair: (-pair.probability, pair.one, pair.other)):
        best.setdefault(pair.one, pair)
        best.setdefault(pair.other, pair)
    members: list[Member] = []
    ordered = sorted(
        clusters(found), key=lambda ids: (-max(best[id_].probability for id_ in ids), ids)
    )
    for number, ids in enumerate(ordered, start=1):
        for id_ in ids:
            record, pair = by_id[id_], best[id_]
            told = {field: record[field] for field in TOLD}
            sure = round(pair.probability, 4)
            members.append(Member(number, sure, pair.because, **told))
    return members


def clusters(found: Iterable[Pair]) -> list[tuple[str, ...]]:
    """Records that hang together by pairs, each cluster in order."""
    home: dict[str, set[str]] = {}
    for pair in found:
        joined = home.get(pair.one, {pair.one}) | home.get(pair.other, {pair.other})
        home |= dict.fromkeys(joined, joined)
    return sorted({tuple(sorted(ids)) for ids in home.values()})


def pairs(by_id: dict[str, dict[str, Any]], threshold: float) -> list[Pair]:
    """Pairs that Splink holds for one record with at least this probability."""
    try:
        from splink import DuckDBAPI, Linker  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise SplinkMissing(SplinkMissing.__doc__) from None
    if len(by_id) < 2:  # noqa: PLR2004 - a pair
        return []
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("prepared", pa.Table.from_pylist(list(_prepared(by_id)), SCHEMA))
        connection.execute("CREATE TABLE record AS FROM prepared")
        api = DuckDBAPI(connection=connection)
        linker = Linker(api.register("record"), _settings(len(by_id)), log_level="ERROR")
        predicted = linker.inference.predict(
            threshold_match_probability=threshold, warning_mode="never"
        )
        return sorted(map(_pair, predicted.as_record_list()))


SCHEMA = pa.schema(
    [(column, pa.string()) for column in ("unique_id", *COLUMNS)]
    + [("keys", pa.list_(pa.string()))]
)


def _prepared(by_id: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Records in the spelling that is compared, with what they are worth comparing for."""
    rows = {id_: {"unique_id": id_, **traits(record)} for id_, record in by_id.items()}
    for id_, record in by_id.items():
        row = rows[id_]
        row["keys"] = list(keys(row))
        if "email" in row:
            row["mailbox"] = row["email"].rpartition("@")[0]
        if record["website"]:
            row["website"] = site(record["website"])
            row["keys"].append(f"website {row['website']}")
    common = Counter(key for row in rows.values() for key in row["keys"])
    for row in rows.values():
        yield row | {"keys": [key for key in row["keys"] if common[key] <= BLOCK_MAX]}


def site(website: str) -> str:
    """The host of a web site, however it is written.

    >>> site("https://www.Example.com/en"), site("example.com")
    ('example.com', 'example.com')
    """
    return re.sub(r"^(?:\w+://)?(?:www\.)?([^/?#]*).*$", r"\1", website.strip().casefold())


def _settings(records: int) -> SettingsCreator:
    """How much each comparison says: how often it agrees in pairs that are one, and in others."""
    import splink.comparison_level_library as level  # noqa: PLC0415
    import splink.comparison_library as of  # noqa: PLC0415
    from splink import SettingsCreator, block_on  # noqa: PLC0415

    names = of.JaroWinklerAtThresholds("name", [0.93, 0.85]).configure(
        m_probabilities=[0.7, 0.2, 0.05, 0.05], u_probabilities=[0.0005, 0.002, 0.01, 0.9875]
    )
    emails = of.CustomComparison(
        output_column_name="email",
        comparison_levels=[
            level.NullLevel("email"),
            level.ExactMatchLevel("email"),
            level.ExactMatchLevel("mailbox"),
            level.ElseLevel(),
        ],
    ).configure(m_probabilities=[0.5, 0.2, 0.3], u_probabilities=[0.00001, 0.0005, 0.99949])
    companies = of.JaroWinklerAtThresholds("company", [0.93]).configure(
        m_probabilities=[0.75, 0.15, 0.1], u_probabilities=[0.005, 0.005, 0.99]
    )
    phones = of.ExactMatch("phone").configure(
        m_probabilities=[0.7, 0.3], u_probabilities=[0.0002, 0.9998]
    )
    websites = of.ExactMatch("website").configure(
        m_probabilities=[0.8, 0.2], u_probabilities=[0.0002, 0.9998]
    )
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[names, emails, companies, phones, websites],
        blocking_rules_to_generate_predictions=[block_on("keys", arrays_to_explode=["keys"])],
        probability_two_random_records_match=min(0.5, 2 * DOUBLES_PER_RECORD / records),
    )


def _pair(predicted: dict[str, Any]) -> Pair:
    one, other = sorted((predicted["unique_id_l"], predicted["unique_id_r"]))
    because: list[str] = []
    for comparison, said in AGREES.items():
        agreement = int(predicted[f"gamma_{comparison}"])
        if agreement > 0:
            because.append(said[len(said) - agreement])
    return Pair(one, other, float(predicted["match_probability"]), ", ".join(because))
