"""The command `positron`: reads the command line, runs one command, and ends with status 0, 1 or 2.

0: done; SIGINT, SIGTERM and SIGHUP end a running node so. 1: it could not be done. 2: the command line or the
configuration is impossible. Knows nothing of nodes: each command is a function that is imported when it is asked for,
so that `positron --help` stays fast.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from node.cli.ending import Ending
from node.cli.errors import CommandFailed, CommandMisused
from node.cli.flags import add_config_flags, unknown_flags
from node.config.version import package_version
from node.errors import ConfigError, PositronError

__all__ = ["main"]

_URL_FIELDS = ("port", "metrics_host", "metrics_port")
_KEY_FIELDS = ("port", "data_dir")

_EPILOG = """\
commands that ask a running node find it by --url, else by POSITRON_URL, else where a node with the same settings
would listen: http://127.0.0.1:9464 by default, port + 576 for a node of another --port.
"""


class _VersionAction(argparse.Action):
    """Prints the version; looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        print(f"positron {package_version()}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. argv: the words after the program's name; `sys.argv` if None."""
    try:
        return _run(_parser(), sys.argv[1:] if argv is None else list(argv))
    except (ConfigError, CommandMisused) as error:
        return _complain(str(error), 2)
    except (CommandFailed, PositronError) as error:
        return _complain(str(error), 1)
    except BrokenPipeError:
        _forget_output()
        return 1
    except OSError as error:
        _forget_output()
        return _complain(f"failed: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 0


def _run(parser: argparse.ArgumentParser, argv: list[str]) -> int:
    arguments, rest = parser.parse_known_args(argv)
    unknown = unknown_flags(rest)
    command = arguments.command
    if command in ("run", "config"):
        arguments.unknown = unknown
    elif unknown:
        arguments.parser.error(f"unknown: {' '.join(unknown)}")
    match command:
        case "run":
            function = _run_node
        case "keygen":
            from node.cli.local import keygen as function
        case "config":
            from node.cli.local import check as function
        case "stats":
            from node.cli.ask import stats as function
        case "peers":
            from node.cli.ask import peers as function
        case "broadcast":
            from node.cli.ask import broadcast as function
        case _:
            raise AssertionError(command)
    status: int = function(arguments)
    if sys.stdout is not None:  # None: closed by whoever started us
        sys.stdout.flush()
    return status


def _forget_output() -> None:
    """What is buffered for a reader that is gone, or for a full disk, must not fail a second time at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run_node(arguments: argparse.Namespace) -> int:
    with Ending() as ending:
        # Signals are heard from here on: the imports take longer than a container that is stopped at once may live.
        from node.cli.run import run

        return run(arguments, ending)


def _complain(text: str, status: int) -> int:
    for line in text.splitlines() or ["failed"]:
        print(f"positron: {line}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="positron",
        description="A peer-to-peer node over an encrypted reliable UDP transport.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_VersionAction, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(commands, "run", "run a node until SIGINT, SIGTERM or SIGHUP")
    add_config_flags(run)

    keygen = _command(commands, "keygen", "make the key of a node, and show its id")
    add_config_flags(keygen, _KEY_FIELDS)
    _add_json(keygen)

    for name, text in (("stats", "show a running node and its links"), ("peers", "show the peers of a running node")):
        command = _command(commands, name, text)
        _add_url(command)
        _add_json(command)
        command.add_argument(
            "--watch",
            nargs="?",
            type=_seconds,
            const=2.0,
            metavar="SECONDS",
            help="show it again and again, every 2 seconds or as given, until interrupted",
        )

    broadcast = _command(commands, "broadcast", "send a JSON object to every node, through a running node")
    broadcast.add_argument("object", metavar="OBJECT", help='JSON object such as \'{"text": "hello"}\'; - reads it')
    _add_url(broadcast)
    _add_json(broadcast)

    config = _command(commands, "config", "look at configurations")
    check = config.add_subparsers(dest="subcommand", required=True, metavar="check").add_parser(
        "check", help="show every setting with its origin, or every mistake", allow_abbrev=False
    )
    add_config_flags(check)
    _add_json(check)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
    command.set_defaults(parser=command)
    return command


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", metavar="URL", help="address of the node's HTTP side; also POSITRON_URL")
    add_config_flags(parser, _URL_FIELDS)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number of seconds from 0.1 to 3600")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
