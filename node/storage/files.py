"""The few operations on files that keeping state needs: one seam, so that a test can end the process at any of them.

Every operation either does what it says or raises OSError; none retries and none hides anything.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["Files"]


class Files:
    """The operating system's files. Files are made for their owner only, and links are never followed."""

    def read(self, path: Path, limit: int) -> bytes | None:
        """The first `limit` bytes of a file; None when there is none of that name."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            return file.read(limit)

    def create(self, path: Path) -> int:
        """A descriptor of an empty file of that name; what it held is gone."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def open_to_append(self, path: Path) -> int:
        """A descriptor whose writes go to the end of the file."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)

    def write(self, descriptor: int, data: bytes) -> int:
        """Writes some of the bytes; how many."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Returns when everything written is on disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Ends the use of a descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file another name at once; whatever had that name is gone."""
        os.rename(source, target)

    def sync_directory(self, directory: Path) -> None:
        """Returns when the names in a directory are on disk."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Removes a file if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
