"""The client's methods for the node's generation models."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from zeus.peers.calls import SLOW_SECONDS, Calls
from zeus.peers.connection import decode
from zeus.wire import ModelList, ModelView


class ModelCalls(Calls):
    """Generation models."""

    async def get_models(self) -> Sequence[ModelView]:
        """The node's models and their states."""
        return decode(await self.request("GET", "/api/models"), ModelList).models

    async def pull_model(self, name: str) -> ModelView:
        """Have the node bring a model's weights; `get_models` tells how far they are."""
        return await self._tell(name, "pull")

    async def remove_model(self, name: str) -> ModelView:
        """Remove the weights that the node pulled, or end their coming."""
        return await self._tell(name, "remove")

    async def use_model(self, name: str) -> ModelView:
        """Make a model the one of jobs that name none."""
        return await self._tell(name, "use")

    async def _tell(self, name: str, action: str) -> ModelView:
        path = f"/api/models/{quote(name, safe='')}/{action}"
        return decode(await self.request("POST", path, wait=SLOW_SECONDS), ModelView)
