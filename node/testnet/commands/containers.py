"""`testnet up | status | down` for testnets in containers.

Those of `testnet up` have a keeper and are treated as local processes are; what only containers have is here: their
image, Prometheus and Grafana, and those that `docker compose up` has started, which have no keeper.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from node.testnet.commands.local import bring_up, plan_of
from node.testnet.compose import Compose, find_compose_file
from node.testnet.errors import TestnetFailed

if TYPE_CHECKING:
    from node.testnet.runners.contained import DockerRunner
    from node.testnet.runners.docker import Engine

__all__ = ["down", "status", "up"]

STATS_PATH = "/api/v1/stats"
STATS_COMMAND = ("positron", "stats", "--json")


def up(arguments: argparse.Namespace) -> int:
    """Builds the image, starts a testnet as `local.up` does, and then Prometheus and Grafana."""
    from node.testnet.runners.contained import DockerRunner
    from node.testnet.scenario.topology import SEED

    plan = plan_of(arguments)
    runner = DockerRunner(arguments.name, lease=None, file=arguments.file, timeout=arguments.timeout)
    if not arguments.no_build:
        Compose(file=find_compose_file(arguments.file), project=runner.project, variables={}).build(SEED)
    status = bring_up(runner, plan, arguments)
    if not arguments.no_monitoring:
        _monitor(runner)
    return status


def status(arguments: argparse.Namespace) -> int:
    """Shows nodes in containers that have no keeper; status 1 when there are none, or not every one is up."""
    from node.testnet.runners.contained import project_of
    from node.testnet.status import status_lines, status_of, status_record

    with _engine_beside(arguments.name) as docker:
        nodes = docker.nodes(arguments.name) or docker.nodes(project_of(arguments.name))
        statuses = status_of(nodes, docker.ask(nodes, STATS_PATH, STATS_COMMAND))
    if not statuses:
        raise TestnetFailed(f"no testnet {arguments.name!r} is running; start one with `testnet up`")
    if arguments.json:
        print(json.dumps([status_record(one) for one in statuses], indent=2))
    else:
        print("\n".join(status_lines(statuses)))
    return 0 if all(one.active_peers is not None for one in statuses) else 1


def down(arguments: argparse.Namespace) -> int:
    """Removes everything of a testnet that has no keeper, whoever started it."""
    from node.testnet.runners.contained import project_of

    with _engine_beside(arguments.name) as docker:
        for project in dict.fromkeys((arguments.name, project_of(arguments.name))):
            docker.remove(project)
    return 0


@contextmanager
def _engine_beside(name: str) -> Iterator[Engine]:
    """The engine, asked because no keeper has a testnet of that name; where none answers, both are to be said."""
    from node.testnet.runners.docker import engine

    try:
        with engine() as docker:
            yield docker
    except TestnetFailed as error:
        raise TestnetFailed(f"no testnet {name!r} of local processes is running, and {error}") from error


def _monitor(runner: DockerRunner) -> None:
    """Starts what watches the nodes: after them, since they need the processors more."""
    began = time.monotonic()
    try:
        runner.start_monitoring()
    except KeyboardInterrupt:
        runner.down()
        raise
    except TestnetFailed as error:
        raise TestnetFailed(f"{error}; the nodes run, without Prometheus and Grafana") from error
    sys.stderr.write(f"Prometheus and Grafana: {time.monotonic() - began:.1f} s more\n")
