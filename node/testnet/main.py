"""The command `testnet`: up, status, down, doctor and chaos. Ends with status 0 (done), 1 (failed) or 2 (usage).

Tables go to standard output, with --json as JSON; progress and errors, one line each, go to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from node.testnet.commands.chaos import add_chaos_commands
from node.testnet.commands.replay import add_replay_command
from node.testnet.compose import DEFAULT_PROJECT, Compose, find_compose_file
from node.testnet.errors import TestnetError, TestnetFailed, TestnetMisused

if TYPE_CHECKING:
    from node.testnet.runners.docker import Engine
    from node.testnet.status import NodeStatus

__all__ = ["main"]

DEFAULT_IMAGE = "positron-testnet:local"
NODES_MAX = 200
"""A bridge of the engine carries about a thousand ports; memory and processors end earlier."""

POLL_INTERVAL = 0.5
"""Seconds between two looks at a testnet that is coming up."""

USAGE_STATUS = 2
"""Of a container whose settings are impossible, as of this command."""

STATS_PATH = "/api/v1/stats"
STATS_COMMAND = ("positron", "stats", "--json")
IMPAIRMENTS = ("loss", "delay", "jitter", "rate")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. argv: the words after the program's name; `sys.argv` if None."""
    arguments = _parser().parse_args(sys.argv[1:] if argv is None else list(argv))
    try:
        status: int = arguments.function(arguments)
    except TestnetError as error:
        sys.stderr.write(f"testnet: {error}\n")
        return error.status
    except ModuleNotFoundError as error:
        sys.stderr.write(f"testnet: {error.name} is missing: pip install 'positron-testnet[testnet]'\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("testnet: interrupted\n")
        return 1
    return status


def up(arguments: argparse.Namespace) -> int:
    """Starts a testnet and waits until every node has every other as a peer."""
    from node.testnet.runners.docker import engine

    variables = {"NODES": str(arguments.nodes)}
    variables.update({name.upper(): value for name in IMPAIRMENTS if (value := getattr(arguments, name)) is not None})
    compose = Compose(file=find_compose_file(arguments.file), project=arguments.project, variables=variables)
    services = ("seed", "node") if arguments.no_monitoring else ()
    with engine() as docker:
        was_running = any(node.state == "running" for node in docker.nodes(arguments.project))
        began = time.monotonic()
        try:
            if not compose.up(build=not arguments.no_build, timeout=arguments.timeout, services=services):
                raise _why(docker, arguments.project)
        except (TestnetError, KeyboardInterrupt):
            # Nothing half-started stays; what was there before is the user's to end.
            if not was_running:
                compose.down()
            raise
        statuses = _wait_until_whole(docker, arguments.project, began + arguments.timeout)
    _show(statuses, is_json=arguments.json)
    sys.stderr.write(
        f"{len(statuses)} nodes, each with every other as a peer, after {time.monotonic() - began:.1f} s\n"
    )
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Shows the nodes of a running testnet; status 1 when there is none, or not every node is up."""
    from node.testnet.runners.docker import engine

    with engine() as docker:
        statuses = _statuses(docker, arguments.project)
    if not statuses:
        raise TestnetFailed(f"no testnet {arguments.project!r} is running; start one with `testnet up`")
    _show(statuses, is_json=arguments.json)
    return 0 if all(one.active_peers is not None for one in statuses) else 1


def down(arguments: argparse.Namespace) -> int:
    """Stops a testnet and removes everything that belongs to it."""
    Compose(file=find_compose_file(arguments.file), project=arguments.project, variables={}).down()
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Says what this machine can do; status 1 when something is missing without which nothing starts."""
    from node.testnet.doctor import examine

    findings = []
    for finding in examine(os.environ.get("POSITRON_IMAGE") or DEFAULT_IMAGE, arguments.file):
        findings.append(finding)
        if not arguments.json:
            print(f"{'ok     ' if finding.is_there else 'missing'}  {finding.subject}: {finding.detail}")
            if finding.cure:
                print(f"         {finding.cure}")
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 0 if all(finding.is_there for finding in findings if finding.is_required) else 1


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="testnet", description="Starts and watches testnets of many nodes.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("up", help="start a testnet and wait for it", allow_abbrev=False)
    command.set_defaults(function=up)
    command.add_argument("-n", "--nodes", type=_nodes, default=5, help="nodes beside the seed (default 5)")
    for name, text in (
        ("loss", "packet loss of what each node sends, such as 10%%"),
        ("delay", "delay of what each node sends, such as 20ms"),
        ("jitter", "variation of the delay, such as 5ms"),
        ("rate", "rate limit of what each node sends, such as 10mbit"),
    ):
        command.add_argument(f"--{name}", metavar="VALUE", help=text)
    command.add_argument("--no-build", action="store_true", help="take the image as it is")
    command.add_argument("--no-monitoring", action="store_true", help="start neither Prometheus nor Grafana")
    command.add_argument("--timeout", type=_seconds, default=120.0, help="seconds until every node is up (default 120)")
    _add_common(command, is_shown=True)

    command = commands.add_parser("status", help="show the nodes of a running testnet", allow_abbrev=False)
    command.set_defaults(function=status)
    _add_common(command, is_shown=True)

    command = commands.add_parser("down", help="stop a testnet and remove all of it", allow_abbrev=False)
    command.set_defaults(function=down)
    _add_common(command, is_shown=False)

    add_chaos_commands(commands)
    add_replay_command(commands)

    command = commands.add_parser("doctor", help="say what this machine can do for a testnet", allow_abbrev=False)
    command.set_defaults(function=doctor)
    _add_common(command, is_shown=True)
    return parser


def _add_common(command: argparse.ArgumentParser, *, is_shown: bool) -> None:
    command.add_argument("--file", metavar="PATH", help="the compose file (default: the nearest docker-compose.yml)")
    command.add_argument("--project", default=DEFAULT_PROJECT, help=f"name of the testnet (default {DEFAULT_PROJECT})")
    if is_shown:
        command.add_argument("--json", action="store_true", help="JSON instead of a table")


def _nodes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= NODES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number from 1 to {NODES_MAX}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number of seconds from 1 to 3600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
