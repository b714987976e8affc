"""`testnet up | status | down` for testnets in containers, through Docker Compose.

Knows the compose file and the engine; what runs as local processes is `local.py`'s.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.testnet.compose import Compose, find_compose_file
from node.testnet.errors import TestnetError, TestnetFailed, TestnetMisused

if TYPE_CHECKING:
    from node.testnet.runners.docker import Engine
    from node.testnet.status import NodeStatus

__all__ = ["down", "status", "up"]

POLL_INTERVAL = 0.5
"""Seconds between two looks at a testnet that is coming up."""

USAGE_STATUS = 2
"""Of a container whose settings are impossible, as of this command."""

STATS_PATH = "/api/v1/stats"
STATS_COMMAND = ("positron", "stats", "--json")
IMPAIRMENTS = ("loss", "delay", "jitter", "rate")


def up(arguments: argparse.Namespace) -> int:
    """Starts a testnet and waits until every node has every other as a peer."""
    from node.testnet.runners.docker import engine

    variables = {"NODES": str(arguments.nodes)}
    variables.update({name.upper(): value for name in IMPAIRMENTS if (value := getattr(arguments, name)) is not None})
    compose = Compose(file=find_compose_file(arguments.file), project=arguments.name, variables=variables)
    services = ("seed", "node") if arguments.no_monitoring else ()
    with engine() as docker:
        was_running = any(node.state == "running" for node in docker.nodes(arguments.name))
        began = time.monotonic()
        is_started = False
        try:
            if not compose.up(build=not arguments.no_build, timeout=arguments.timeout, services=services):
                raise _why(docker, arguments.name)
            is_started = True
            statuses = _wait_until_whole(docker, arguments.name, began + arguments.timeout)
        except (TestnetError, KeyboardInterrupt) as error:
            # Nothing half-started stays; what was there before, or runs and may be looked at, is the user's to end.
            if not was_running and (not is_started or isinstance(error, KeyboardInterrupt)):
                compose.down()
            raise
    _show(statuses, is_json=arguments.json)
    sys.stderr.write(
        f"{len(statuses)} nodes, each with every other as a peer, after {time.monotonic() - began:.1f} s\n"
    )
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Shows the nodes of a running testnet; status 1 when there is none, or not every node is up."""
    from node.testnet.runners.docker import engine

    with engine() as docker:
        statuses = _statuses(docker, arguments.name)
    if not statuses:
        raise TestnetFailed(f"no testnet {arguments.name!r} is running; start one with `testnet up`")
    _show(statuses, is_json=arguments.json)
    return 0 if all(one.active_peers is not None for one in statuses) else 1


def down(arguments: argparse.Namespace) -> int:
    """Stops a testnet and removes everything that belongs to it."""
    Compose(file=find_compose_file(arguments.file), project=arguments.name, variables={}).down()
    return 0


def _statuses(docker: Engine, project: str) -> list[NodeStatus]:
    from node.testnet.status import status_of

    nodes = docker.nodes(project)
    return status_of(nodes, docker.ask(nodes, STATS_PATH, STATS_COMMAND))


def _wait_until_whole(docker: Engine, project: str, deadline: float) -> list[NodeStatus]:
    from node.testnet.status import is_whole

    while True:
        statuses = _statuses(docker, project)
        if is_whole(statuses):
            return statuses
        if time.monotonic() >= deadline:
            _show(statuses, is_json=False)
            raise TestnetFailed("the nodes run, but not every node has every other as a peer; see `testnet status`")
        time.sleep(POLL_INTERVAL)


def _why(docker: Engine, project: str) -> TestnetError:
    """Why the containers did not start, in the words of those that ended; the same words once."""
    ended = [node for node in docker.nodes(project) if node.state == "exited" and node.exit_code != 0]
    words: dict[str, list[str]] = {}
    for node in ended:
        words.setdefault(docker.last_words(node) or f"exited with status {node.exit_code}", []).append(node.name)
    if not words:
        return TestnetFailed("docker compose up failed; its own message is above")
    text = "; ".join(f"{', '.join(names)}: {said}" for said, names in words.items())
    is_misuse = all(node.exit_code == USAGE_STATUS for node in ended)
    return TestnetMisused(text) if is_misuse else TestnetFailed(text)


def _show(statuses: Sequence[NodeStatus], *, is_json: bool) -> None:
    from node.testnet.status import status_lines, status_record

    if is_json:
        print(json.dumps([status_record(one) for one in statuses], indent=2))
    else:
        print("\n".join(status_lines(statuses)))
