"""Errors to answers: the status of each kind, in the dialect that the client speaks."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from zeus import errors
from zeus.wire import ErrorBody, OpenAIError, OpenAIProblem

API_VERSION = "0.1"
VERSION_HEADER = "X-API-Version"
OPENAI = "/v1/"
"""Where the paths of OpenAI's API begin."""
FIELD = re.compile(r"([A-Za-z_-]+)(?:\[[^\]]*\])*: ")
"""How a message begins that is about one field, parameter or header."""

STATUS: dict[type[Exception], int] = {
    errors.BadInput: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooSlow: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.PreviewFailed: 500,
    errors.NotReady: 503,
    errors.StoreFailed: 503,
    errors.NoSpace: 507,
}
"""Looked up along a class's bases; whatever is not found is a 500."""

HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 416: "range_not_satisfiable"}

RETRY_AFTER = 5
"""Seconds until another try makes sense, where the error does not say."""
PREPARED = web.RequestKey("prepared", bool)
"""Set once the head of the answer is out."""

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware: every error becomes an answer, none a traceback."""
    try:
        version = request.headers.get(VERSION_HEADER)
        if version not in (None, API_VERSION):
            raise errors.BadInput(
                f'{VERSION_HEADER}: this node speaks version "{API_VERSION}" alone.', code="unsupported_api_version"
            )
        return await handler(request)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        if PREPARED in request:
            raise  # half a body is out: breaking the connection is the only honest end
        if isinstance(error, errors.ZeusError):
            return _answer(request, error)
        if isinstance(error, web.HTTPException):
            return _from_http(request, error)
        return _unexpected(request, error)


def speaks_farm(request: web.BaseRequest) -> bool:
    """Whether the client speaks the farm API's dialect."""
    return request.headers.get(VERSION_HEADER) == API_VERSION


def speaks_openai(path: str) -> bool:
    """Whether the clients of a path expect OpenAI's errors. The farm API's header, where it is sent, comes first."""
    return path.startswith(OPENAI)


def _answer(request: web.Request, error: errors.ZeusError) -> web.Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None:
        return _unexpected(request, error)
    if speaks_farm(request) and isinstance(error, errors.JobNotFound):
        status = 400
    response = error_response(request, status, error.code, error.message)
    if status == 503:
        response.headers["Retry-After"] = str(getattr(error, "retry_after", RETRY_AFTER))
    if isinstance(error, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _from_http(request: web.Request, error: web.HTTPException) -> web.Response:
    if error.status < 400:
        raise error
    messages = {
        404: f"There is no route {request.path[:200]}.",
        405: f"{request.method} is not allowed here; see the Allow header.",
    }
    code = HTTP_CODES.get(error.status, "bad_request")
    response = error_response(request, error.status, code, messages.get(error.status, f"{error.reason}."))
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _unexpected(request: web.Request, error: Exception) -> web.Response:
    number = uuid.uuid4().hex[:12]
    log.error("error %s at %s %s", number, request.method, request.path, exc_info=error)
    message = f"Something unexpected went wrong here; the node's log says more under {number}."
    return error_response(request, 500, "internal_error", message)


def error_response(request: web.BaseRequest, status: int, code: str, message: str) -> web.Response:
    """An error as the client's dialect has it. What the client sent may be in the message, in one clean line."""
    message = "".join(each if each.isprintable() else "\ufffd" for each in message)
    if speaks_farm(request):
        return web.Response(text=message, status=status)
    body = _openai(status, code, message) if speaks_openai(request.path) else ErrorBody(code, message)
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _openai(status: int, code: str, message: str) -> OpenAIError:
    field = FIELD.match(message) if status == 400 else None
    kind = "invalid_request_error" if status < 500 else "server_error"
    return OpenAIError(OpenAIProblem(message, kind, field[1] if field else None, code))
