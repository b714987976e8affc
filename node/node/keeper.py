"""Keeps a node's memory on disk while it runs: read at the start, written every SAVE_INTERVAL and at the end,
and what messages change every WATERMARK_INTERVAL.

Knows files and the clock, and nothing of what is remembered. A disk that is full or read only costs the memory of what
happened since, never the node: it is said once and counted, and every later save tries again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from node.core.state import Rows, epoch_after
from node.errors import StorageError
from node.metrics.readings import RuntimeStats
from node.node.log import EventLog
from node.storage.keyfile import was_used
from node.storage.state import StateFile
from node.types import NodeId

__all__ = ["SAVE_INTERVAL", "Keeper"]

SAVE_INTERVAL = 30.0
"""Seconds; what was learned of peers since is forgotten when the process is killed."""

WATERMARK_INTERVAL = 1.0
"""Seconds; a message that was delivered since can be replayed when the process is killed."""

FINAL_SAVE_TIMEOUT = 1.0
"""Seconds that a node waits for its last save when it stops; a save takes a few hundredths of one."""


class Keeper:
    """The memory of one node in one directory, which is not locked yet; "" keeps nothing."""

    def __init__(self, directory: str, node_id: NodeId, log: EventLog, stats: RuntimeStats) -> None:
        self._file = StateFile(Path(directory), node_id) if directory else None
        self._was_used = bool(directory) and was_used(directory)
        self._log = log
        self._stats = stats
        self._problem = ""
        self.is_full: Callable[[], bool] = lambda: False
        """Whether every save has to fail, as on a full disk."""
        self._saved_at: float | None = None
        # One thread: a save that is slow must not be overtaken by the next one.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="positron-state") if directory else None

    def load(self) -> Rows:
        """What an earlier life remembered. StartError for a file of another version or one that cannot be read."""
        if self._file is None:
            return {}
        loaded = self._file.load()
        if loaded.problem:
            self._log.warning("state_not_whole", text=loaded.problem)
        elif self._was_used and not loaded.rows:
            self._log.info("state_missing", text="a node held this directory before and left no state: it begins anew")
        if not loaded.rows and (loaded.problem or self._was_used):
            return {"life": {}}  # nothing is known of that life but that it may have delivered what is about
        return loaded.rows

    async def begin(self, rows: Rows, wall_milliseconds: int) -> int:
        """The epoch of this life, on disk before this returns, if the disk allows it."""
        epoch = epoch_after(rows, wall_milliseconds)
        await self.save({**rows, "life": {b"epoch": epoch, b"is_final": False}})
        return epoch

    async def save(self, rows: Rows) -> None:
        """Writes these rows; what cannot be written is said and counted."""
        if self._file is not None:
            await self._write(self._file.save, rows)

    async def _write(self, write: Callable[[Rows], bool], rows: Rows) -> None:
        try:
            if self.is_full():
                raise StorageError(f"state cannot be written: {os.strerror(errno.ENOSPC)}")
            has_written = await asyncio.get_running_loop().run_in_executor(self._thread, write, rows)
        except StorageError as error:
            self._stats.state_save_failures += 1
            if not self._problem:
                self._log.warning("state_not_saved", text=str(error), action="the node goes on and tries again")
            self._problem = str(error)
        else:
            if not has_written:
                return  # which says nothing of the disk
            self._stats.state_saves += 1
            self._saved_at = time.monotonic()
            if self._problem:
                self._log.info("state_saved_again")
            self._problem = ""

    async def keep(self, export: Callable[[], Rows], export_watermarks: Callable[[], Rows]) -> None:
        """Saves until it is cancelled: everything now and then, and what messages change in between."""
        save_at = time.monotonic() + SAVE_INTERVAL
        while True:
            await asyncio.sleep(WATERMARK_INTERVAL)
            if time.monotonic() >= save_at:
                await self.save(export())
                save_at = time.monotonic() + SAVE_INTERVAL
            elif self._file is not None:
                await self._write(self._file.save_part, export_watermarks())

    async def finish(self, rows: Rows) -> None:
        """The last save; gives up after FINAL_SAVE_TIMEOUT."""
        try:
            async with asyncio.timeout(FINAL_SAVE_TIMEOUT):
                await self.save(rows)
        except TimeoutError:
            self._log.warning("state_not_saved", text=f"the disk took longer than {FINAL_SAVE_TIMEOUT:g} s")

    def close(self) -> None:
        """Lets go of the thread; a save that still runs in it ends by itself."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def report(self) -> dict[str, Any]:
        """How it goes, fit for JSON. saved_ago: seconds since the last save, None before it or without a directory."""
        return {
            "is_kept": self._file is not None,
            "saves": self._stats.state_saves,
            "save_failures": self._stats.state_save_failures,
            "saved_ago": None if self._saved_at is None else time.monotonic() - self._saved_at,
            "problem": self._problem or None,
        }
