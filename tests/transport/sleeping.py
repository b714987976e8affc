"""When the event loop of a test would have gone to sleep."""

from __future__ import annotations

import asyncio
import time

import pytest

from node.types import Instant

DEADLINE = 10.0


class Naps:
    """Watches the running loop, which looks at its sockets without a wait wherever it would have slept."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self._fallen: asyncio.Future[Instant] | None = None
        selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]  # asyncio shows it nowhere else
        self._select = selector.select
        patch.setattr(selector, "select", self._look)

    async def next(self) -> Instant:
        """When it would next have slept; `looks` tells how often it has looked before."""
        self.looks, self._fallen = 0, asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._fallen, DEADLINE)

    def _look(self, timeout: float | None = None) -> object:
        if timeout == 0:
            self.looks += 1
            return self._select(0)
        if self._fallen is None or self._fallen.done():
            return self._select(timeout)
        self._fallen.set_result(time.monotonic_ns())
        return self._select(0)
