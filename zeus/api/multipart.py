"""Forms part by part, with a limit for all that is no part's content: aiohttp itself has none for it."""

from __future__ import annotations

import asyncio

from aiohttp import BodyPartReader, MultipartReader
from multidict import CIMultiDictProxy

from zeus.errors import BadInput

MOST = 1 << 16
"""Bytes of preamble, boundaries, parts' headers and epilogue together."""
BREATH = 256
"""Lines after which everyone else gets a turn: those that have arrived are read without waiting for anything."""


class FormReader(MultipartReader):
    """A form as it arrives. Raises BadInput for what cannot be one, besides what aiohttp raises."""

    _outside = 0
    _lines = 0

    async def next(self) -> MultipartReader | BodyPartReader | None:
        try:
            return await super().next()
        except (RuntimeError, AssertionError) as error:  # what aiohttp makes of a part named _charset_
            raise BadInput("The form's first part cannot be read.", code="invalid_multipart") from error

    async def _readline(self) -> bytes:
        line = await super()._readline()
        self._count(len(line))
        self._lines += 1
        if self._lines % BREATH == 0:
            await asyncio.sleep(0)
        return line

    async def _read_headers(self) -> CIMultiDictProxy[str]:
        headers = await super()._read_headers()
        self._count(sum(len(name) + len(value) for name, value in headers.items()))
        return headers

    def _count(self, size: int) -> None:
        self._outside += size
        if self._outside > MOST:
            raise BadInput("The form has too much outside of its parts.", code="invalid_multipart")
