"""Where a testnet of local processes keeps what later commands need to find it: one directory per name.

Knows nothing of nodes. The directory is private to its user; whoever keeps the testnet alive holds a lock in it, and so
one whose keeper is gone is recognised, whatever became of it, and swept away.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.transport.trace import SUFFIX

__all__ = ["Directory", "ask_keeper", "directory_of", "home", "known", "running"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
SOCKET_PATH_BYTES_MAX = 107
"""What `sockaddr_un` has room for."""

ANSWER_TIMEOUT = 10.0
ANSWER_BYTES_MAX = 16 << 20


@dataclass(frozen=True, slots=True)
class Directory:
    """The files of one testnet."""

    path: Path

    @property
    def socket(self) -> Path:
        """Where the keeper listens."""
        return self.path / "keeper.sock"

    @property
    def token(self) -> Path:
        """The token of every node's API, readable by the user alone."""
        return self.path / "token"

    @property
    def plan(self) -> Path:
        """What was brought up."""
        return self.path / "plan.json"

    @property
    def compose_file(self) -> Path:
        """The compose file of a testnet of containers."""
        return self.path / "docker-compose.yml"

    @property
    def keeper_log(self) -> Path:
        """What the keeper said, which is nothing unless it failed."""
        return self.path / "keeper.log"

    @property
    def scrape_file(self) -> Path:
        """The settings of the Prometheus that watches containers; with the token."""
        return self.path / "prometheus.yml"

    def data(self, node: str) -> Path:
        """The state of a node."""
        return self.path / "nodes" / node / "data"

    def traces(self, node: str) -> Path:
        """The traces of a node's connections."""
        return self.path / "nodes" / node / "qlog"

    def log(self, node: str) -> Path:
        """What a node wrote."""
        return self.path / "nodes" / node / "log"

    def read_traces(self, node: str) -> dict[str, bytes]:
        """The traces by name, as far as they are written."""
        found = {}
        for path in sorted(self.traces(node).glob(f"*{SUFFIX}")):
            with contextlib.suppress(OSError):  # it has made room for a later one
                found[path.name] = path.read_bytes()
        return found

    def lock(self) -> int | None:
        """A descriptor that holds the lock for as long as it is open; None if somebody else has it."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if _is_locked(descriptor, fcntl.LOCK_EX):
            os.close(descriptor)
            return None
        return descriptor

    def is_alive(self) -> bool:
        """Whether somebody keeps it."""
        return self._is_kept() is True

    def is_abandoned(self) -> bool:
        """Whether whoever kept it is gone and has left it; not while it is being removed."""
        return self._is_kept() is False

    def _is_kept(self) -> bool | None:
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)  # never made here: it may be about to be removed
        except FileNotFoundError:
            return None
        try:
            return _is_locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def read_plan(self) -> dict[str, Any]:
        """What was brought up; TestnetFailed if it cannot be read."""
        try:
            plan = json.loads(self.plan.read_text())
        except (OSError, ValueError) as error:
            raise TestnetFailed(f"{self.plan} cannot be read: {error}") from error
        assert isinstance(plan, dict)
        return plan

    def remove(self) -> None:
        """Deletes everything."""
        shutil.rmtree(self.path, ignore_errors=True)


def home() -> Path:
    """The directory of all testnets: `$XDG_RUNTIME_DIR/positron-testnet`, or else under `$XDG_STATE_HOME`."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime):
        return Path(runtime) / "positron-testnet"
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # the specification says to ignore a relative one
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state) / "positron" / "testnets"


def directory_of(name: str) -> Directory:
    """The directory of the testnet of that name, whether it is there or not. TestnetMisused for what is no name."""
    if not _NAME.fullmatch(name):
        raise TestnetMisused(f"name {name!r}: allowed are up to 40 small letters, digits and hyphens")
    found = Directory(home() / name)
    if len(os.fsencode(found.socket)) > SOCKET_PATH_BYTES_MAX:
        raise TestnetFailed(f"{found.path} is too long for a socket in it; set XDG_RUNTIME_DIR to a shorter directory")
    return found


def known() -> list[str]:
    """Names of all testnets that have a directory; those without a keeper are swept away first."""
    parent = home()
    names = sorted(entry.name for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []
    alive = []
    for name in names:
        found = Directory(parent / name)
        if found.is_alive():
            alive.append(name)
        else:
            found.remove()
    return alive


def running(name: str) -> Directory:
    """The directory of a testnet that runs; TestnetFailed says which ones do if that one does not."""
    found = directory_of(name)
    if found.is_alive():
        return found
    others = known()
    hint = f"running are {', '.join(others)}; choose with --name" if others else "start one with `testnet up`"
    raise TestnetFailed(f"no testnet {name!r} is running; {hint}")


def ask_keeper(directory: Directory, request: dict[str, Any]) -> dict[str, Any]:
    """The keeper's answer; TestnetFailed if there is none, or if it refuses."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(ANSWER_TIMEOUT)
            link.connect(str(directory.socket))
            link.sendall(json.dumps(request).encode() + b"\n")
            with link.makefile("rb") as stream:
                answer = json.loads(stream.readline(ANSWER_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise TestnetFailed(f"the keeper of testnet {directory.path.name!r} does not answer: {error}") from error
    assert isinstance(answer, dict)
    if "error" in answer:
        raise TestnetFailed(str(answer["error"]))
    return answer


def wait_until_gone(directory: Directory, seconds: float) -> bool:
    """Whether its keeper removed the directory within that time; not if it ended before it did."""
    deadline = time.monotonic() + seconds
    while directory.path.exists():
        if directory.is_abandoned() or time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_locked(descriptor: int, operation: int) -> bool:
    """Whether somebody else holds the lock; if not, it is taken in that way."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
