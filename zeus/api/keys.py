"""What handlers find in the application."""

from __future__ import annotations

from aiohttp import web

from zeus.api.lists import JobLists
from zeus.server import Zeus

ZEUS = web.AppKey("zeus", Zeus)
LISTS = web.AppKey("lists", JobLists)
