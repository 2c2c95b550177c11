"""What is sent to a door: JSON that can be kept for ever, and parameters the door has."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_origin

import orjson
from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from api.problems import BodyMalformed, BodyTooLarge, BodyUnstorable
from domain.values import INTEGER_MAX, UNSTORABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

BODY_BYTES_MAX = 1024 * 1024
DIGITS_MAX = 40
"""No number a business writes has more; a longer one is an attack on whoever parses it."""


class Door(APIRoute):
    """A route whose body is read by `strict_json`.

    `parameters` tells of each parameter it takes whether it may be given more than once.
    """

    parameters: dict[str, bool]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the framework, given a request that reads strictly."""
        handle = super().get_route_handler()
        self.parameters = {
            taken.alias: get_origin(taken.field_info.annotation) is list
            for taken in get_flat_params(self.dependant)
            if isinstance(taken.field_info, params.Query)
        }

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def only_known_parameters(request: Request) -> None:
    """Refuse what the door does not know: an `as_of` misspelt would be answered with today."""
    taken = cast("Door", request.scope["route"]).parameters
    given = [name for name, _ in request.query_params.multi_items()]
    faults = [
        {"loc": ("query", name), "msg": "There is no such parameter"}
        if name not in taken
        else {"loc": ("query", name), "msg": "This parameter is given once"}
        for name in dict.fromkeys(given)
        if name not in taken or (given.count(name) > 1 and not taken[name])
    ]
    if faults:
        raise RequestValidationError(faults)


class StrictRequest(Request):
    """A request with a body of at most `BODY_BYTES_MAX` bytes, in strict JSON."""

    async def body(self) -> bytes:
        """The body, read no further than the limit."""
        if not hasattr(self, "_body"):
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    raise BodyTooLarge(limit_bytes=BODY_BYTES_MAX)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """The body as Python values."""
        return strict_json(await self.body())


def strict_json(text: bytes) -> Any:
    """JSON as RFC 8259 has it, with a `Decimal` where a float would lose digits.

    >>> strict_json(b'{"share": 0.25, "amount": 1234567890123456.78}')
    {'share': 0.25, 'amount': Decimal('1234567890123456.78')}
    """
    try:
        value = _quickly(text)
    except RecursionError:
        raise BodyMalformed(reason="it is nested too deeply") from None
    except UnicodeDecodeError:
        raise BodyMalformed(reason="it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BodyMalformed(reason=f"{error.msg} at character {error.pos}") from None
    if b"\\u" in text:
        _check_strings(value)
    return value


def _quickly(text: bytes) -> Any:
    """As `orjson` reads it, unless that may have cost a digit: 1 µs instead of 3.5."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _exactly(text)  # which tells what is wrong
    return value if _are_exact((value,)) else _exactly(text)


def _are_exact(values: Iterable[Any]) -> bool:
    """Whether none of these is a fraction, or a whole number that may have been one too long."""
    for value in values:
        kind = type(value)
        if kind is str or value is None or kind is bool:
            continue
        if kind is int:
            if not -INTEGER_MAX <= value <= INTEGER_MAX:
                return False
        elif kind is float or not _are_exact(value.values() if kind is dict else value):
            return False
    return True


def _exactly(text: bytes) -> Any:
    return json.loads(
        text.decode(), parse_float=_fraction, parse_int=_whole, parse_constant=_constant
    )


def _whole(digits: str) -> int:
    value = int(digits) if len(digits) <= DIGITS_MAX else INTEGER_MAX + 1
    if not -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
        raise BodyUnstorable(what="an integer beyond 2^63")
    return value


def _fraction(digits: str) -> float | Decimal:
    """A float where that says the same, digit for digit: measures are floats, money is not."""
    value = Decimal(digits)
    if len(digits) > DIGITS_MAX or not -DIGITS_MAX < value.adjusted() < DIGITS_MAX:
        raise BodyUnstorable(what=f"a number of more than {DIGITS_MAX} digits")
    rounded = float(value)
    return rounded if Decimal(repr(rounded)) == value else value


def _constant(name: str) -> NoReturn:
    raise BodyUnstorable(what=name)


def _check_strings(value: object) -> None:
    """Escapes can smuggle in what raw UTF-8 cannot: look at every string, keys included."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                if UNSTORABLE.search(text):
                    raise BodyUnstorable(what="NUL or a lone surrogate")
            case list() as items:
                waiting += items
            case dict() as members:
                waiting += [*members.keys(), *members.values()]
