"""Files that a configuration names, read within bounds of bytes and of time.

A pipe is a file, too (`--config <(...)`); one that nobody writes into would hold up the start, and signals with it.
"""

from __future__ import annotations

import errno
import os
import select
import time

__all__ = ["read_file"]

PIPE_PATIENCE = 5.0
"""Seconds for all that is in a pipe."""


def read_file(path: str, bytes_max: int) -> bytes:
    """The file, or the first bytes of it, one more than `bytes_max`; OSError."""
    deadline = time.monotonic() + PIPE_PATIENCE
    content = b""
    # Opened so, a pipe is there before anybody writes into it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        poll = select.poll()  # select(2) knows no more than 1024 descriptors
        poll.register(file, select.POLLIN)
        while len(content) <= bytes_max:
            if not poll.poll(max(0.0, 1e3 * (deadline - time.monotonic()))):
                raise TimeoutError(errno.ETIMEDOUT, f"nobody wrote it to its end within {PIPE_PATIENCE:g} s")
            chunk = file.read(bytes_max + 1 - len(content))
            if not chunk:
                break
            content += chunk
    return content
