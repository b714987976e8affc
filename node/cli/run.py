"""The command that runs a node until SIGINT, SIGTERM or SIGHUP.

Input is the parsed command line; the node's log goes to standard error. A bug of ours, wherever the event loop meets
it, ends the node with status 1 instead of leaving half of it running.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from node.cli.ending import Ending
from node.cli.errors import CommandFailed
from node.cli.flags import config_flags
from node.cli.heap import map_large_blocks
from node.cli.logs import set_up_logging
from node.config import load
from node.node import Node

__all__ = ["run"]

_logger = logging.getLogger("positron")


def run(arguments: argparse.Namespace, ending: Ending) -> int:
    """Runs a node; 0 once a signal has ended it, at whatever moment it came."""
    config = load(flags=config_flags(arguments), path=arguments.config, unknown_flags=arguments.unknown).config
    set_up_logging(config.log_level, config.log_format)
    map_large_blocks()
    node = Node(config)
    if ending.is_wished:
        return 0
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(node, ending))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes loops of uvloop, where it is installed (extra `uvloop`): a wake-up costs a third with it."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


async def _run(node: Node, ending: Ending) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = loop.create_future()

    def end(error: BaseException | None) -> None:
        loop.remove_reader(ending)
        if not ended.done():
            ended.set_result(error)

    def on_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # What the operating system refuses to an idle part of asyncio (a descriptor for a new connection) passes by.
        if error is None or isinstance(error, OSError):
            _logger.warning("%s", "event_loop_warning", extra={"fields": {"text": context.get("message", str(error))}})
            return
        _logger.error("%s", "event_loop_failed", extra={"fields": {}}, exc_info=error)
        end(error)

    loop.set_exception_handler(on_unhandled)
    loop.add_reader(ending, end, None)
    starting = loop.create_task(node.start())
    either: list[asyncio.Future[Any]] = [starting, ended]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():  # its addresses may be names, for which nobody waits who is told to end
        starting.cancel()
        await asyncio.wait([starting])
    if not starting.cancelled():
        starting.result()
    watch = loop.create_task(node.wait())
    watch.add_done_callback(lambda task: end(None if task.cancelled() else task.exception()))
    error = await ended
    await node.stop()
    watch.cancel()
    await asyncio.wait([watch])
    if error is not None:
        raise CommandFailed(f"stopped by a defect: {type(error).__name__}: {error}")
    return 0
