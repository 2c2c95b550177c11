"""Every answer that is not the one asked for, as RFC 9457 writes it (`application/problem+json`).

Problem
├── BodyMalformed        the body is not JSON                              400
├── KeyMissing           no API key was sent                               401
├── KeyUnknown           the API key is not known, or revoked              401
├── NotFound             there is no such record                           404
├── BodyTooLarge         the body is over the limit                        413
├── BodyUnstorable       JSON that no log could keep                       422
├── SqlRefused           no SELECT, or one that may not be, or not bound    422
├── SqlTooLong           a question that takes too long                    422
├── SqlTooLarge          a question that needs too much memory             422
├── ParameterInvalid     a column or comparison that there is not          422
├── PersonalNotShown     the API key may not see this table                403
├── FormatUnknown        no format that could be written                   406
├── TooManyQuestions     one caller asks too many at once                  429
├── ReadNodeAway         the process that answers questions starts         503
├── TablesRenewed        a table is made for the first time                503
├── CursorInvalid        a cursor of another query, or not one of ours     422
└── PositionNotReached   the tables are not there yet                      503
Refusal                  the business says no                              409
EventStoreError          see eventstore/errors.py                          412, 422, 503
RequestValidationError   input outside its limits                          422
"""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from domain.base import Refusal
from eventstore.errors import (
    EventStoreError,
    IdempotencyKeyReused,
    OccurredInTheFuture,
    OutcomeUnknown,
    Overloaded,
    StaleVersion,
    StorageFull,
    Unavailable,
)
from projections.follower import FollowerStopped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request
    from starlette.applications import Starlette

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1


class Problem(HTTPException):
    """What the door itself has to say.

    The docstring of a subclass is its detail; keyword arguments fill its {placeholders} and
    travel as `details`.
    """

    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    sent_along: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, *, status: int, headers: Mapping[str, str] | None = None) -> None:
        cls.status, cls.sent_along = status, headers or {}

    def __init__(self, **details: Any) -> None:
        self.details = details
        said = (type(self).__doc__ or "").format(**details)
        super().__init__(self.status, said, dict(self.sent_along))


class BodyMalformed(Problem, status=400):
    """The body is not JSON in UTF-8: {reason}."""


class KeyMissing(Problem, status=401, headers={"WWW-Authenticate": 'Bearer realm="backstory"'}):
    """Say who asks: send an API key as `Authorization: Bearer bk_...`."""


class KeyUnknown(
    Problem,
    status=401,
    headers={"WWW-Authenticate": 'Bearer realm="backstory", error="invalid_token"'},
):
    """The API key is not known, or it was revoked."""


class NotFound(Problem, status=404):
    """There is no {what} {id}."""


class BodyTooLarge(Problem, status=413, headers={"Connection": "close"}):
    """The body is larger than {limit_bytes} bytes."""


class BodyUnstorable(Problem, status=422):
    """The body holds {what}, which cannot be stored."""


class CursorInvalid(Problem, status=422):
    """The cursor does not belong to this query; start again without one."""


class SqlRefused(Problem, status=422):
    """{reason}"""  # noqa: D415 - the message is the database's own


class SqlTooLong(Problem, status=422):
    """There was no answer within {seconds:g} seconds: ask for less, or in smaller steps."""


class SqlTooLarge(Problem, status=422):
    """The question needs more memory than questions may use: ask for less, or in smaller steps."""


class ParameterInvalid(Problem, status=422):
    """The parameter {parameter} is not possible here: {reason}."""


class PersonalNotShown(Problem, status=403):
    """The API key may not see personal columns."""


class FormatUnknown(Problem, status=406):
    """The answer can be had as {formats}; `Accept` names none of them."""


class TooManyQuestions(Problem, status=429, headers={"Retry-After": str(RETRY_SECONDS)}):
    """{waiting} questions of yours wait for an answer already."""


class ReadNodeAway(Problem, status=503, headers={"Retry-After": str(RETRY_SECONDS)}):
    """The process that answers questions is being started; ask again, or less if you ended it."""


class TablesRenewed(Problem, status=503, headers={"Retry-After": str(RETRY_SECONDS)}):
    """What was asked about is new, and is still being made from the log: ask again."""


class PositionNotReached(Problem, status=503, headers={"Retry-After": str(RETRY_SECONDS)}):
    """The tables are at position {position}, not yet at {min_position}."""


STATUS: dict[type[Exception], int] = {
    Refusal: 409,
    StaleVersion: 412,
    OccurredInTheFuture: 422,
    IdempotencyKeyReused: 422,
    Overloaded: 503,
    OutcomeUnknown: 503,
    Unavailable: 503,
    StorageFull: 503,
    FollowerStopped: 503,
}
"""What the errors of the layers below are called in HTTP."""


def answer_with_problems(app: Starlette) -> None:
    """Have every error of `app` told as a problem."""
    for error in (HTTPException, RequestValidationError, EventStoreError, *STATUS):
        app.add_exception_handler(error, told)
    app.add_exception_handler(Exception, told)


async def told(request: Request, error: Exception) -> Response:
    """An error as the problem it is."""
    status, members, headers = described(error)
    if isinstance(error, OutcomeUnknown):
        members |= {"outcome": "unknown", "retry_by": request.headers.get("idempotency-key")}
    elif isinstance(error, StaleVersion):
        headers["ETag"] = f'"{error.actual}"'
    return Response(orjson.dumps(members, default=str), status, headers, MEDIA_TYPE)


def described(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, members and headers of the problem an error is."""
    match error:
        case Problem():
            members = _named(type(error).__name__, error.status, error.detail)
            return error.status, members | _details(error), dict(error.sent_along)
        case RequestValidationError():
            members = _named("invalid", 422, "The request is outside what this door takes.")
            return 422, members | {"errors": [_fault(fault) for fault in error.errors()]}, {}
        case HTTPException():
            name = HTTPStatus(error.status_code).phrase
            members = _named(name, error.status_code, str(error.detail))
            return error.status_code, members, dict(error.headers or {})
        case _:
            status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return status, _named("unexpected", status, "Something went wrong that is our fault."), {}
    # The message of what is away may name hosts and users; what it means does not.
    away = status == HTTPStatus.SERVICE_UNAVAILABLE
    said = inspect.cleandoc(type(error).__doc__ or "") if away else str(error)
    members = _named(type(error).__name__, status, said) | _details(error)
    retry = {"Retry-After": str(RETRY_SECONDS)} if away else {}
    return status, members, retry


def _details(error: Exception) -> dict[str, Any]:
    details = getattr(error, "details", None)
    return {"details": details} if details else {}


def _named(name: str, status: int, detail: str) -> dict[str, Any]:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_]+", "-", name).lower()
    return {
        "type": f"urn:backstory:problem:{words}",
        "title": words.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
    }


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    """One fault of the input: where and why, never what was sent."""
    place, *path = fault["loc"]
    where = {
        "body": {"pointer": "#" + "".join(f"/{_escaped(str(step))}" for step in path)},
    }.get(place, {"in": place, "parameter": ".".join(map(str, path))})
    return where | {"detail": fault["msg"]}


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:backstory:problem:invalid"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "details": {"type": "object", "description": "The facts behind the detail."},
        "errors": {
            "type": "array",
            "description": "Every fault of an invalid request.",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the body"},
                    "in": {"type": "string", "enum": ["path", "query", "header"]},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }
