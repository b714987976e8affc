"""What keeps the memory of the program `positron run` small; it acts on the whole process, so no library does it.

Large bodies are kept apart from the C library's heap, so that what was freed goes back to the system. glibc raises its
threshold for own mappings as soon as one of them is freed, up to 32 MiB: from then on bodies of messages lie between
small objects that outlive them, and a node that large messages are thrown at holds a fifth more memory than it uses.
Other C libraries do without. And nobody reads certificates that no node asks for.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["map_large_blocks", "without_certificates"]

_M_MMAP_THRESHOLD = -3
"""The number of the option in malloc.h."""

LARGE_BYTES = 128 << 10
"""Blocks from this size on get mappings of their own: glibc's own beginning, which stays what it is once it is set."""


def map_large_blocks() -> None:
    """From now on, in this process."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


@contextmanager
def without_certificates() -> Iterator[None]:
    """Modules that are imported within the block find no certificates of the system.

    aiohttp's client, which no node uses, reads all of them as soon as it is imported: 2 MiB and a tenth of a second.
    """
    name = "SSL_CERT_FILE"
    before = os.environ.get(name)
    os.environ[name] = os.devnull
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
