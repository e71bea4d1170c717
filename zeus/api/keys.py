"""What handlers find in the application."""

from __future__ import annotations

from aiohttp import web

from zeus.api.access import Access
from zeus.api.lists import JobLists
from zeus.api.polls import JobBodies
from zeus.server import Zeus

ZEUS = web.AppKey("zeus", Zeus)
LISTS = web.AppKey("lists", JobLists)
BODIES = web.AppKey("bodies", JobBodies)
ACCESS = web.AppKey("access", Access)
DOCUMENT = web.AppKey("document", bytes)
"""The OpenAPI document."""
