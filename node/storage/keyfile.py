"""Keeps the node's identity seed in a small text file, and the data directory to one process.

Knows the file system and nothing of networks. The configuration gives the path; the identity goes to the node. A key
file is never overwritten, never used when others can read it or own it, and never silently made anew when it is bad.

    positron identity v1
    seed = <64 hexadecimal digits: the Ed25519 seed>
    node = <64 hexadecimal digits: the node id, so that any damage shows>
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.errors import StartError
from node.identity.keys import SEED_BYTES, Identity

__all__ = ["create", "load", "load_or_create", "lock", "was_used"]

_LOCK_NAME = "lock"
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_SEED_AT = len("positron identity v1\nseed = ")
_FILE_BYTES_MAX = 4096
"""Far more than a key file has; whatever is longer is something else."""


def load_or_create(path: Path | str) -> Identity:
    """The identity in that file; if there is no such file, a new one that was stored there first.

    Of several processes that do this at once, one makes the file and all use it. StartError as `load` and `create`.
    """
    path = Path(path)
    if not os.path.lexists(path):
        try:
            return _create(path)
        except FileExistsError:
            return load(path)  # another process was faster: its key counts
    return load(path)


def create(path: Path | str) -> Identity:
    """A new identity, safely on disk before this returns; missing directories are made, for the owner only.

    StartError: the file exists (it is not touched), or cannot be written.
    """
    path = Path(path)
    try:
        return _create(path)
    except FileExistsError as error:
        raise StartError(f"identity file {path} exists and is never overwritten; move it away first") from error


def load(path: Path | str) -> Identity:
    """The identity in that file.

    StartError, with path and cure: the file is missing or unreadable, is not a plain file, belongs to another user,
    can be accessed by group or others, or is damaged in any way.
    """
    path = Path(path)
    try:
        # Not following a link and not waiting for the other end of a pipe: both are refused below by what they are.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            _refuse_unsafe(path, os.fstat(file.fileno()))
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP and path.is_symlink() else error.strerror
        raise StartError(f"identity file {path} cannot be read: {reason}") from error
    return _parse(path, content)


def was_used(directory: Path | str) -> bool:
    """Whether a node has held that data directory before: its lock file is there."""
    return os.path.lexists(Path(directory) / _LOCK_NAME)


@contextmanager
def lock(directory: Path | str) -> Iterator[str]:
    """Holds the data directory for this process until the block ends, or the process does in whatever way.

    The directory is made if it is missing, for the owner only. Yields "", or why there is no lock: a directory that
    cannot be written to may have no lock file. StartError: another node holds it, or it is not usable.
    """
    directory = Path(directory)
    try:
        _make_directory(directory)
        descriptor = _open_lock(directory / _LOCK_NAME)
    except OSError as error:
        if error.errno in _READ_ONLY and directory.is_dir():
            yield f"data directory {directory} cannot be written to: {error.strerror}"
            return
        raise StartError(f"data directory {directory} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(f"data directory {directory} is in use by another node") from error
        except OSError as error:
            raise StartError(f"data directory {directory} cannot be locked: {error.strerror}") from error
        # The file stays: a process that removed it could remove the one that another process has just locked.
        yield ""
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    """A descriptor of the lock file; one that can only be read will do."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    except OSError as error:
        if error.errno not in _READ_ONLY or not path.exists():
            raise
        return os.open(path, os.O_RDONLY | flags)


def _create(path: Path) -> Identity:
    """As `create`, but FileExistsError when the file exists."""
    seed = os.urandom(SEED_BYTES)
    try:
        _make_directory(path.parent)
        _write_new(path, _text(seed))
    except FileExistsError:
        raise
    except OSError as error:
        raise StartError(f"identity file {path} cannot be written: {error.strerror}") from error
    return Identity(seed)


def _write_new(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all; FileExistsError when it exists."""
    # A crash between creating and writing must not leave half a key under the final name, and another process must not
    # read one; the hard link appears at once, and only if the name is free.
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # a umask can only have taken away more
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path, follow_symlinks=False)
    finally:
        os.unlink(draft)
    _sync_directory(path.parent)


def _make_directory(directory: Path) -> None:
    """Makes the directory and its missing parents with mode 0700; what exists stays as it is."""
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_unsafe(path: Path, status: os.stat_result) -> None:
    user = os.geteuid()
    if not stat.S_ISREG(status.st_mode):
        raise StartError(f"identity file {path} is not a plain file")
    if status.st_uid != user:
        raise StartError(f"identity file {path} belongs to user {status.st_uid}, not {user}: chown {user} {path}")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise StartError(f"identity file {path} is open to other users (mode {mode:04o}): chmod 600 {path}")


def _text(seed: bytes) -> bytes:
    return f"positron identity v1\nseed = {seed.hex()}\nnode = {Identity(seed).node_id}\n".encode()


def _parse(path: Path, content: bytes) -> Identity:
    # The seed is at a fixed place; what it does not reproduce to the byte is not a key file, or a damaged one.
    digits = content[_SEED_AT : _SEED_AT + 2 * SEED_BYTES]
    try:
        seed = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES or _text(seed) != content:
        raise StartError(
            f"identity file {path} is damaged: restore it from a copy, or move it away to get a new identity"
        )
    return Identity(seed)
