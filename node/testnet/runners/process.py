"""One node of a testnet of local processes: what a child of the keeper becomes.

Called right after a fork, in a process of its own; never returns. Whatever the node writes goes to its log.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from node.cli.logs import set_up_logging
from node.config import NetworkConfig
from node.node.engine import Engine
from node.node.node import Node
from node.testnet.runners.directory import Directory

__all__ = ["Order", "become_node"]

Order = tuple[str, Mapping[str, Any]]
"""A command of `node.node.chaos.Chaos` and its body."""

PR_SET_PDEATHSIG = 1
FAILED = 70
"""Exit status of a node that ended by a defect (EX_SOFTWARE of sysexits.h)."""


def become_node(directory: Directory, name: str, settings: Mapping[str, Any], orders: Sequence[Order]) -> None:
    """Runs a node until SIGTERM. settings: of NetworkConfig; `prepare`: a `module:function` that gets the engine."""
    status = FAILED
    try:
        _die_with_the_keeper()
        _redirect(directory.log(name))
        values = dict(settings)
        prepare = values.pop("prepare", "")
        config = NetworkConfig(**values)
        set_up_logging(config.log_level, config.log_format)
        status = asyncio.run(_run(config, orders, prepare))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Nothing comes out of a fork: this process is not the keeper, and must not go on as if it were.
        sys.stderr.flush()
        os._exit(status)


async def _run(config: NetworkConfig, orders: Sequence[Order], prepare: str) -> int:
    node = Node(config)

    def arrange(engine: Engine) -> None:
        assert engine.chaos is not None
        for command, body in orders:
            engine.chaos.carry_out(command, body)
        if prepare:
            module, _, function = prepare.partition(":")
            getattr(importlib.import_module(module), function)(engine)

    node.arrange = arrange
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await node.start()
    watch = loop.create_task(node.wait())
    wish = loop.create_task(ended.wait())
    await asyncio.wait([watch, wish], return_when=asyncio.FIRST_COMPLETED)
    is_well = not watch.done() or watch.exception() is None
    await node.stop()
    return 0 if is_well else FAILED


def _die_with_the_keeper() -> None:
    """Has the kernel kill this process with its parent, where the kernel can."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(FAILED)


def _redirect(path: os.PathLike[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(null)
    os.close(descriptor)
