"""The work every contestant does: capture a lead, qualify it, capture the next."""

from __future__ import annotations

from typing import Any

QUALIFY = {
    "budget": 3,
    "authority": 4,
    "need": 5,
    "timeline": 2,
    "evidence": "Budget approved by the board in March.",
}


def capture(number: str) -> dict[str, Any]:
    """A lead of its own for each number."""
    return {
        "name": f"Ann Example {number}",
        "email": f"ann.{number}@example.com",
        "phone": "+44 20 7946 0018",
        "company": "Example Ltd",
        "title": "Head of IT",
        "country": "GB",
        "source": "website",
    }
