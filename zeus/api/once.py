"""The check that what a route takes once comes once, for all routes by what their operations say."""

from __future__ import annotations

from aiohttp import web

from zeus.api.errors import VERSION_HEADER, Handler
from zeus.api.operations import OPERATIONS, Operation
from zeus.errors import BadInput

LISTS = frozenset({"Accept-Encoding", "If-None-Match"})
"""Headers that HTTP allows in several lines: together they are one list."""


@web.middleware
async def refuse_repeats(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a route takes once and gets twice is refused by name: which of the two is meant, nobody can know.

    Parameters that the route does not know are nobody's, however often they come.
    """
    if repeated := _repeated(request, _operation(request)):
        raise BadInput(f"{repeated[0]}: given more than once.", code="repeated_field")
    return await handler(request)


def _operation(request: web.Request) -> Operation | None:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return OPERATIONS.get((method, resource.canonical)) if resource is not None else None


def _repeated(request: web.Request, operation: Operation | None) -> list[str]:
    if operation is None:
        return []
    queries = [each.name for each in operation.query if len(request.query.getall(each.name, [])) > 1]
    once = [name for name in (*operation.headers, VERSION_HEADER) if name not in LISTS]
    return queries + [name for name in once if len(request.headers.getall(name, [])) > 1]
