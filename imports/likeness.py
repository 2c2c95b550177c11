"""How alike two people or companies are: what is compared, how, and which pairs are worth it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Literal

from rapidfuzz import fuzz

from domain.values import email_kind, identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Compared = Literal["name", "email", "company", "phone"]
Traits = dict[Compared, str]
"""What is known of somebody, in the spelling that is compared; nothing unknown is in it."""

PHONE_DIGITS = 8
"""So many of the last digits tell phones apart, however the country is written."""

WEIGHT_MIN = 0.5
"""Two of whom less than this share of the weight is known in common are not compared."""

SHORTENED = 6
VOWELS = "aeiouy"


def plain(text: str) -> str:
    """Words in lower case, in the order of the alphabet, without marks.

    >>> plain("Müller, Ann-Kathrin")
    'ann kathrin muller'
    """
    letters = unicodedata.normalize("NFKD", text).casefold()
    return " ".join(sorted(re.findall(r"\w+", re.sub(r"[\u0300-\u036f]", "", letters))))


def digits(text: str) -> str:
    """The last digits of a phone number.

    >>> digits("+49 (0)30 1234-567")
    '01234567'
    """
    return re.sub(r"\D", "", text)[-PHONE_DIGITS:]


SPELLINGS: dict[Compared, Callable[[str], str]] = {
    "name": plain,
    "email": str.casefold,
    "company": identity,
    "phone": digits,
}


def traits(values: Mapping[str, object]) -> Traits:
    """What is compared of somebody, from fields of that name."""
    return {
        field: spelled
        for field, spell in SPELLINGS.items()
        if isinstance(value := values.get(field), str) and (spelled := spell(value))
    }


def likeness(field: Compared, one: str, other: str) -> float:
    """0 to 1: how alike two values are."""
    if one == other:
        return 1.0
    if field == "phone":
        return 0.0
    if field == "email":
        (mailbox, domain), (other_mailbox, other_domain) = _parts(one), _parts(other)
        share = fuzz.ratio(mailbox, other_mailbox) / 100
        return share if domain == other_domain else share * share
    return fuzz.ratio(one, other) / 100


def score(
    one: Traits, other: Traits, weights: Mapping[Compared, float]
) -> tuple[float, dict[Compared, float]]:
    """The weighted mean of what both are known by, 0 to 1, and how alike each of it is."""
    both = [field for field in weights if field in one and field in other]
    weight = sum(weights[field] for field in both)
    if weight < WEIGHT_MIN * sum(weights.values()):
        return 0.0, {}
    each = {field: likeness(field, one[field], other[field]) for field in both}
    return sum(weights[field] * each[field] for field in both) / weight, each


def keys(known: Traits) -> Iterator[str]:
    """What two have in common that are worth comparing: at least one of these.

    The address, the phone, the sounds of the name, or the company and one word of the name.
    """
    if "email" in known:
        mailbox, domain = _parts(known["email"])
        yield f"email {mailbox if email_kind(known['email']) == 'free' else known['email']}"
        if "name" not in known:
            yield f"domain {domain}"
    if "phone" in known:
        yield f"phone {known['phone']}"
    words = known.get("name", "").split()
    if words:
        yield f"name {' '.join(sorted(map(_sound, words)))}"
    if company := known.get("company", ""):
        begins = company[:SHORTENED]
        yield from (f"company {begins} {word}" for word in dict.fromkeys(words))
        if not words:
            yield f"company {begins}"
            yield f"company {' '.join(sorted(map(_sound, company.split())))}"


def _parts(email: str) -> tuple[str, str]:
    mailbox, _, domain = email.rpartition("@")
    return mailbox, domain


def _sound(word: str) -> str:
    """A word as it survives most typing errors: its first letter, and which consonants follow."""
    return word[0] + "".join(sorted(set(word[1:]) - set(VOWELS)))
