"""Writes the traces of a node's connections to files, one each, while the node runs.

Knows traces and files, and nothing of what is traced. What the loop does is copy bytes; a thread writes them. Files are
bounded in number and in bytes: the oldest that are complete make room, those of earlier lives first, and where none is
left, or the disk refuses, tracing ends. That is said once, and costs the node nothing else.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from node.config import NetworkConfig
from node.errors import StartError
from node.node.log import EventLog
from node.transport.trace import SUFFIX, Trace
from node.transport.traces import Traces
from node.types import NodeId, short_id

__all__ = ["FILES_MAX", "Recorder", "TraceFiles", "files_for"]

FILES_MAX = 2048
"""Files of one node, whatever their size."""

INTERVAL = 0.1
"""Seconds between two looks at what was recorded. What a trace has no memory for meanwhile is told as missing."""

FINAL_TIMEOUT = 0.3
"""Seconds that a stopping node waits for its last records to be written."""


class _Full(Exception):
    """The bound is reached, and no complete file is left to make room."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Records of one trace. file: its number. is_last: whether it is complete."""

    file: int
    data: bytes
    is_last: bool


class TraceFiles:
    """The files of one life of a node, used by one thread at a time. Everything but the constructor may raise OSError.

    Their names are the node's short id, the epoch of this life, and a number.
    """

    def __init__(self, directory: Path, node_id: NodeId, epoch: int, bytes_max: int) -> None:
        """epoch: of this life, larger than that of any before. bytes_max: of all files together.

        Raises StartError where there can be no files.
        """
        self._prefix = f"{short_id(node_id)}-"
        self._life = f"{self._prefix}{epoch}-"
        self._directory = directory
        self._bytes_max = bytes_max
        self._growing: dict[int, int] = {}
        self._complete: deque[tuple[Path, int]] = deque()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._complete.extend(self._left_behind())
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(0, "this user may not write there")
        except OSError as error:
            where = f"qlog_dir {str(directory)!r}: {error.strerror}"
            raise StartError(f"{where}; allowed is a directory that this user may write to") from error
        self._bytes = sum(size for _, size in self._complete)

    def write(self, chunks: list[_Chunk]) -> None:
        """Appends to the files; _Full where the bound leaves no room."""
        for chunk in chunks:
            self._make_room(chunk)
            path = self._path(chunk.file)
            # Nobody else's file is written to, whatever lies there.
            flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
            flags |= 0 if chunk.file in self._growing else os.O_CREAT | os.O_EXCL
            with open(os.open(path, flags, 0o600), "wb") as file:
                file.write(chunk.data)
            size = self._growing.pop(chunk.file, 0) + len(chunk.data)
            self._bytes += len(chunk.data)
            if chunk.is_last:
                self._complete.append((path, size))
            else:
                self._growing[chunk.file] = size

    def _make_room(self, chunk: _Chunk) -> None:
        more = chunk.file not in self._growing
        while (
            self._bytes + len(chunk.data) > self._bytes_max
            or len(self._growing) + len(self._complete) + more > FILES_MAX
        ):
            if not self._complete:
                raise _Full
            path, size = self._complete.popleft()
            path.unlink(missing_ok=True)
            self._bytes -= size

    def _path(self, file: int) -> Path:
        return self._directory / f"{self._life}{file}{SUFFIX}"

    def _left_behind(self) -> list[tuple[Path, int]]:
        """The files of earlier lives of this node, oldest first."""
        with os.scandir(self._directory) as entries:
            found = [
                (entry.stat(follow_symlinks=False), Path(entry.path))
                for entry in entries
                # What somebody has put there under such a name is none of them, and could not be removed.
                if entry.name.startswith(self._prefix)
                and entry.name.endswith(SUFFIX)
                and entry.is_file(follow_symlinks=False)
            ]
        return [(path, status.st_size) for status, path in sorted(found, key=lambda one: one[0].st_mtime_ns)]


def files_for(config: NetworkConfig, node_id: NodeId, epoch: int) -> TraceFiles | None:
    """The files that a node of that configuration writes; None where it writes none."""
    return TraceFiles(Path(config.qlog_dir), node_id, epoch, config.qlog_dir_bytes_max) if config.qlog_dir else None


class Traced(Protocol):
    """The endpoint."""

    traces: Traces

    def stop_trace(self, connection: int) -> None: ...


class Recorder:
    """Reads the traces of an endpoint and has a thread write them. Without files it does nothing."""

    def __init__(self, files: TraceFiles | None, log: EventLog) -> None:
        self._files = files
        self._log = log
        self._numbers = count(1)
        # Per trace the number of its file, and how many records are in it.
        self._written: dict[Trace, tuple[int, int]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="positron-qlog") if files else None

    async def keep(self, endpoint: Traced | None) -> None:
        """Writes what is recorded until it is cancelled, or tracing has ended."""
        while endpoint is not None and self._files is not None:
            await asyncio.sleep(INTERVAL)
            await self.look(endpoint)

    async def look(self, endpoint: Traced, *, is_final: bool = False) -> None:
        """Writes what was recorded since the last time. is_final: every trace is complete now."""
        if self._files is None:
            return
        chunks = self._news(endpoint.traces, is_final=is_final)
        if not chunks:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._files.write, chunks)
        except (OSError, _Full) as error:
            self._end(endpoint, error)

    async def finish(self, endpoint: Traced | None) -> None:
        """The last records; gives up after FINAL_TIMEOUT."""
        if endpoint is not None:
            try:
                async with asyncio.timeout(FINAL_TIMEOUT):
                    await self.look(endpoint, is_final=True)
            except TimeoutError:
                self._log.warning("qlog_not_whole", text=f"the disk took longer than {FINAL_TIMEOUT:g} s")
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _end(self, endpoint: Traced, error: Exception) -> None:
        self._files = None
        self._written.clear()
        endpoint.traces.bytes_max = 0
        for handle in list(endpoint.traces.open):
            endpoint.stop_trace(handle)
        reason = error.strerror if isinstance(error, OSError) else "qlog_dir_bytes_max is reached"
        self._log.warning("qlog_ended", reason=reason, action="no connection is traced any more")

    def _news(self, traces: Traces, *, is_final: bool) -> list[_Chunk]:
        """What was recorded since the last time. Of connections whose peer is not known yet, nothing is told."""
        found = []
        while traces.ended:
            found.append((traces.ended.popleft(), True))
        found += [(trace, is_final) for trace in traces.open.values() if trace.peer_id is not None]
        return [chunk for trace, is_last in found if (chunk := self._chunk(trace, is_last=is_last)) is not None]

    def _chunk(self, trace: Trace, *, is_last: bool) -> _Chunk | None:
        file, position = self._written.pop(trace, (0, 0))
        if is_last or position < trace.records:
            file = file or next(self._numbers)
            chunk = _Chunk(file, trace.read(position), is_last)
        else:
            chunk = None
        if not is_last:
            self._written[trace] = file, trace.records
        return chunk
