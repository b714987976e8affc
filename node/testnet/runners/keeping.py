"""Starts the keeper of a testnet, and tells it to end: what a controller does about processes of its own.

The keeper is a process that outlives its controller (`keeper.py`); it inherits the lock of the testnet's directory, so
that whoever looks can tell that the testnet is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.runners.directory import Directory, ask_keeper

__all__ = ["claim", "last_words", "start_keeper", "tell_to_end", "write_plan"]

KEEPER_TIMEOUT = 90.0
"""Seconds from the start of the program until it is a process of its own."""


def claim(directory: Directory) -> int:
    """Makes the directory and takes its lock; TestnetMisused if the testnet runs already."""
    directory.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = directory.lock()
    if lock is None:
        name = directory.path.name
        raise TestnetMisused(f"a testnet {name!r} runs already; choose another --name, or end it with `testnet down`")
    for entry in directory.path.iterdir():
        if entry.name != "lock":
            # Left by a keeper that was killed.
            Directory(entry).remove() if entry.is_dir() else entry.unlink()
    return lock


def start_keeper(directory: Directory, lock: int) -> None:
    """Returns as soon as the keeper is a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POSITRON_")}
    command = [sys.executable, "-m", "node.testnet.runners.keeper", str(directory.path), str(lock)]
    with directory.keeper_log.open("wb") as log:
        began = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),
            env=environment,
            timeout=KEEPER_TIMEOUT,
            check=False,
        )
    if began.returncode:
        raise TestnetFailed(f"the keeper did not start: {last_words(directory)}")


def tell_to_end(directory: Directory) -> bool:
    """Whether the keeper has heard it, or is gone; it may not listen yet."""
    try:
        ask_keeper(directory, {"do": "down"})
    except TestnetFailed:
        return not directory.is_alive()
    return True


def last_words(directory: Directory) -> str:
    """The last line that the keeper wrote."""
    with contextlib.suppress(OSError):
        return (directory.keeper_log.read_text().splitlines() or ["without a word"])[-1][:200]
    return "without a word"


def write_plan(directory: Directory, plan: Mapping[str, Any]) -> None:
    """Replaces the plan in one step."""
    part = directory.plan.with_suffix(".new")
    part.touch(mode=0o600)
    part.write_text(json.dumps(plan))
    part.replace(directory.plan)
