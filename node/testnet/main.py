"""The command `testnet`: testnets of containers or local processes, their links, faults and scenarios.

Ends with status 0 (done), 1 (failed), 2 (usage), 3 (not applied), 4 (not run) or 127 (not supported here). Tables go to
standard output, with --json as JSON; progress and errors, one line each, go to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from node.cli.output import ready_output
from node.cli.parser import VersionAction
from node.testnet.command_line import Parser
from node.testnet.commands import containers, local
from node.testnet.commands.chaos import SEED_MAX, add_chaos_commands, whole
from node.testnet.commands.doctor import doctor
from node.testnet.commands.faults import add_fault_commands
from node.testnet.commands.links import add_links_commands
from node.testnet.commands.render import add_render_command
from node.testnet.commands.replay import add_replay_command
from node.testnet.commands.watch import add_watch_command
from node.testnet.compose import DEFAULT_PROJECT
from node.testnet.errors import TestnetError, TestnetMisused

__all__ = ["main"]

NODES_MAX = 200
"""A bridge of the engine carries about a thousand ports; memory and processors end earlier."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. argv: the words after the program's name; `sys.argv` if None.

    Words that are no command, and the help, end the program.
    """
    ready_output()
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = _parser().words(words)
    except TestnetMisused as error:
        sys.exit(_tell(error, words))
    try:
        with _ended_like_ctrl_c():
            status: int = arguments.function(arguments)
    except TestnetError as error:
        return _tell(error, words)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"testnet: {error.name} is missing: pip install 'positron-testnet[testnet]'\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("testnet: interrupted\n")
        return 1
    except BrokenPipeError:
        # Whoever read has seen enough.
        sys.stderr.close()
        return 1
    return status


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, and SIGHUP unless it is ignored (nohup), interrupt: what was begun is healed and taken down."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(error: TestnetError, words: Sequence[str]) -> int:
    """Says what went wrong; the exit status for it."""
    sys.stderr.write(f"testnet: {error}\n")
    if "--json" in words:
        print(json.dumps({"error": str(error), "status": error.status}))
    return error.status


def up(arguments: argparse.Namespace) -> int:
    """Starts a testnet where it was asked for, or where it works."""
    name, why = arguments.runner, "asked for"
    if name == "auto":
        name, why = _choose(arguments)
    sys.stderr.write(f"runner {name} ({why})\n")
    if name == "proc":
        given = [flag for flag, value in (("--file", arguments.file), ("--no-build", arguments.no_build)) if value]
        if given:
            raise TestnetMisused(f"{given[0]} is for --runner docker")
        return local.up(arguments)
    return containers.up(arguments)


def status(arguments: argparse.Namespace) -> int:
    """Shows the nodes of a running testnet."""
    return local.status(arguments) if local.is_kept(arguments.name) else containers.status(arguments)


def down(arguments: argparse.Namespace) -> int:
    """Stops a testnet and removes everything that belongs to it."""
    status = local.down(arguments) if local.is_kept(arguments.name) else containers.down(arguments)
    if arguments.json:
        print(json.dumps({"down": arguments.name, "status": status}))
    return status


def _choose(arguments: argparse.Namespace) -> tuple[str, str]:
    """The runner that works here, and why it is that one."""
    from node.testnet.compose import find_compose_file
    from node.testnet.runners.docker import engine

    try:
        find_compose_file(arguments.file)
        with engine():
            return "docker", "an engine answers, and the compose file is here"
    except (TestnetError, ModuleNotFoundError) as error:
        if arguments.file is not None:
            raise
        return "proc", f"no containers here: {str(error).partition(';')[0]}"


def _parser() -> Parser:
    parser = Parser(
        prog="testnet",
        description="Starts, watches and breaks testnets of many nodes.",
        epilog="exit status: 0 done, 1 failed, 2 used wrongly, 3 not applied, 4 not run, 127 not supported here.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=VersionAction, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)

    command = commands.add_parser("status", help="show the nodes of a running testnet", allow_abbrev=False)
    command.set_defaults(function=status)
    _add_common(command)
    add_watch_command(commands, _add_common)
    add_links_commands(commands, _add_common)
    add_fault_commands(commands, _add_common)
    add_chaos_commands(commands)
    add_render_command(commands)
    add_replay_command(commands)

    command = commands.add_parser("collect", help="keep what the nodes tell of themselves", allow_abbrev=False)
    command.set_defaults(function=local.collect)
    command.add_argument("--into", default="collected", metavar="FOLDER", help="where (default collected/)")
    _add_common(command)

    command = commands.add_parser("down", help="stop a testnet and remove all of it", allow_abbrev=False)
    command.set_defaults(function=down)
    _add_common(command)

    command = commands.add_parser("doctor", help="say what this machine can do for a testnet", allow_abbrev=False)
    command.set_defaults(function=doctor)
    _add_common(command, has_file=True)
    return parser


def _add_up(commands: argparse._SubParsersAction[Parser]) -> None:
    command = commands.add_parser("up", help="start a testnet and wait for it", allow_abbrev=False)
    command.set_defaults(function=up)
    command.add_argument("-n", "--nodes", type=whole(1, NODES_MAX), default=5, help="nodes beside the seed (default 5)")
    command.add_argument(
        "--runner", choices=("auto", "docker", "proc"), default="auto", help="containers, or processes of this machine"
    )
    for name, text in (
        ("loss", "packet loss of what each node sends, such as 10%%"),
        ("delay", "delay of what each node sends, such as 20ms"),
        ("jitter", "variation of the delay, such as 5ms"),
        ("rate", "rate limit of what each node sends, such as 10mbit"),
    ):
        command.add_argument(f"--{name}", metavar="VALUE", help=text)
    command.add_argument("--links", metavar="FILE|PRESET", help="settings of links, as `links` of a scenario")
    command.add_argument("--seed", type=whole(0, SEED_MAX), default=1, help="of the fate of every packet (default 1)")
    command.add_argument("--no-build", action="store_true", help="take the image as it is")
    command.add_argument("--no-monitoring", action="store_true", help="start neither Prometheus nor Grafana")
    command.add_argument("--timeout", type=_seconds, default=120.0, help="seconds until every node is up (default 120)")
    _add_common(command, has_file=True)


def _add_common(command: argparse.ArgumentParser, *, has_file: bool = False) -> None:
    if has_file:
        command.add_argument(
            "--file", metavar="PATH", help="the compose file (default: the nearest docker-compose.yml)"
        )
    command.add_argument(
        "--name", "--project", default=DEFAULT_PROJECT, help=f"of the testnet (default {DEFAULT_PROJECT})"
    )
    command.add_argument("--json", action="store_true", help="JSON instead of a table")


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
