"""The command line of `positron`: every command with its flags, help and examples.

Knows nothing of what a command does; `node.cli.main` finds that by the command's name.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import NoReturn

from node.api.limits import GOAL_PATTERN, GOAL_WORDS, PAGE_ENTRIES_MAX, SEND_TIMEOUT_MAX
from node.cli.flags import HelpFormatter, add_config_flags
from node.config.version import is_compiled, package_version

__all__ = ["VersionAction", "parser"]

_URL_FIELDS = ("port", "metrics_host", "metrics_port", "api_token_file")
_KEY_FIELDS = ("port", "data_dir")

_EPILOG = """\
commands that ask a running node find it by --url, else by POSITRON_URL, else where a node with the same settings
would listen: http://127.0.0.1:9464 by default, port + 576 for a node of another --port.

exit status: 0 done, 1 it could not be done, 2 the command line or the configuration is impossible.
"""

_Commands = argparse._SubParsersAction


class VersionAction(argparse.Action):
    """Prints the version; looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        print(f"{parser.prog} {package_version()}{', compiled' if is_compiled() else ''}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The parser; `command` is the name of the command, `parser` the command's own parser."""
    made: argparse.ArgumentParser = _Parser(
        prog="positron",
        description="A peer-to-peer node over an encrypted reliable UDP transport.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action=VersionAction, nargs=0, help="show the version and exit")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_run, _keygen, _config, _doctor, _shows, _top, _messages, _broadcast, _send, _qlog):
        add(commands)
    return made


def _run(commands: _Commands[argparse.ArgumentParser]) -> None:
    run = _command(
        commands,
        "run",
        "run a node until SIGINT, SIGTERM or SIGHUP",
        "run --port 9000",
        "run --port 9001 --bootstrap 127.0.0.1:9000",
    )
    add_config_flags(run)


def _keygen(commands: _Commands[argparse.ArgumentParser]) -> None:
    keygen = _command(commands, "keygen", "make the key of a node, and show its id", "keygen --port 9000")
    add_config_flags(keygen, _KEY_FIELDS)
    _add_json(keygen)


def _config(commands: _Commands[argparse.ArgumentParser]) -> None:
    config = _command(commands, "config", "look at configurations", "config check --port 9000")
    check = config.add_subparsers(dest="subcommand", required=True, metavar="check").add_parser(
        "check",
        help="show every setting with its origin, or every mistake",
        allow_abbrev=False,
        formatter_class=HelpFormatter,
    )
    add_config_flags(check)
    _add_json(check)


def _doctor(commands: _Commands[argparse.ArgumentParser]) -> None:
    doctor = _command(
        commands,
        "doctor",
        "check what a node with these settings needs, and say how to get what is missing",
        "doctor --port 9001 --bootstrap 192.0.2.1:9000",
        "doctor --peer seed.example.org:8888 --peer-tcp seed.example.org:8889 --json",
    )
    doctor.add_argument(
        "--peer",
        action="append",
        metavar="HOST:PORT",
        help="UDP address of a node that should be reachable, beside the bootstrap nodes; repeatable",
    )
    doctor.add_argument(
        "--peer-tcp",
        action="append",
        metavar="HOST:PORT",
        help="its TCP address, if that is not the next port; repeatable",
    )
    doctor.add_argument(
        "--timeout", type=_number(0.1, 60), default=12.0, metavar="SECONDS", help="for each address; default: 12"
    )
    add_config_flags(doctor)
    _add_json(doctor)


def _shows(commands: _Commands[argparse.ArgumentParser]) -> None:
    for name, text in (
        ("stats", "show a running node and its links"),
        ("peers", "show the peers of a running node"),
        ("trust", "show whom a running node trusts, and why"),
    ):
        command = _command(commands, name, text, name, f"{name} --port 9001 --watch", f"{name} --json")
        _add_url(command)
        _add_json(command)
        command.add_argument(
            "--watch",
            nargs="?",
            type=_number(0.1, 3600),
            const=2.0,
            metavar="SECONDS",
            help="show it again and again, every 2 seconds or as given, until interrupted",
        )


def _top(commands: _Commands[argparse.ArgumentParser]) -> None:
    top = _command(
        commands,
        "top",
        "watch a running node until q is pressed: RTT, RTO, retransmissions, gossip, lateness of its event loop",
        "top",
        "top --url http://node-1:9464 --url http://node-2:9464",
        "top --once --json",
    )
    _add_url(top, action="append", more="; repeatable")
    _add_json(top, "one line of JSON per node and reading instead of a picture")
    top.add_argument("--once", action="store_true", help="one picture; status 1 if a node does not answer")
    top.add_argument(
        "--interval", type=_number(0.1, 3600), default=1.0, metavar="SECONDS", help="between readings; default: 1"
    )


def _messages(commands: _Commands[argparse.ArgumentParser]) -> None:
    messages = _command(
        commands, "messages", "show what a running node has received", "messages --last 5", "messages --follow --json"
    )
    _add_url(messages)
    _add_json(messages, "JSON instead of text; with --follow one line per message")
    messages.add_argument("--follow", action="store_true", help="go on with every later message until interrupted")
    messages.add_argument(
        "--last",
        type=_whole(0, PAGE_ENTRIES_MAX),
        default=20,
        metavar="NUMBER",
        help=f"of the newest messages to show, at most {PAGE_ENTRIES_MAX}; default: 20",
    )


def _broadcast(commands: _Commands[argparse.ArgumentParser]) -> None:
    broadcast = _command(
        commands,
        "broadcast",
        "send a JSON object to every node, through a running node",
        """broadcast '{"text": "hello"}'""",
        "broadcast --port 9001 - < object.json",
        """broadcast --wait acked:3 --timeout 2 '{"text": "hello"}'""",
    )
    broadcast.add_argument(
        "object", metavar="OBJECT", help='JSON object such as \'{"text": "hello"}\'; - reads it from standard input'
    )
    broadcast.add_argument(
        "--wait",
        type=_goal,
        default="queued",
        metavar="GOAL",
        help="until k peers have acknowledged a copy (acked:k), or every living member has it (covered)",
    )
    _add_timeout(broadcast, "to wait for that; default: 5")
    _add_url(broadcast)
    _add_json(broadcast)


def _send(commands: _Commands[argparse.ArgumentParser]) -> None:
    send = _command(
        commands,
        "send",
        "send a JSON value or text to one node, through a running node",
        """send node-2 '{"text": "hello"}'""",
        "send 192.0.2.1:9000 --text hello --timeout 2",
        "send 4f3c21aa --unreliable 42",
    )
    send.add_argument("target", metavar="TARGET", help="node id, its first digits (4 or more), name, or HOST:PORT")
    send.add_argument("data", metavar="DATA", help="JSON value; - reads it from standard input")
    send.add_argument("--text", action="store_true", help="DATA is text, not JSON")
    send.add_argument(
        "--unreliable", action="store_true", help="one datagram, of which nobody knows whether it arrives"
    )
    _add_timeout(send, "until it is given up; default: 5")
    _add_url(send)
    _add_json(send)


def _qlog(commands: _Commands[argparse.ArgumentParser]) -> None:
    qlog = _command(
        commands,
        "qlog",
        "record a running node's UDP connection with one peer, as a qlog file that qvis reads",
        "qlog node-2 --output node-2.sqlog",
        "qlog 4f3c21aa --seconds 2",
    )
    qlog.add_argument("peer", metavar="PEER", help="node id, its first digits (4 or more), name, or HOST:PORT")
    qlog.add_argument(
        "--seconds",
        type=_number(0, 3600),
        default=10.0,
        metavar="SECONDS",
        help="to record; an interrupt ends it early, 0 fetches what is recorded already; default: 10",
    )
    qlog.add_argument("--output", default="-", metavar="FILE", help="instead of standard output")
    _add_url(qlog)


def _command(
    commands: _Commands[argparse.ArgumentParser], name: str, text: str, *examples: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  positron {example}" for example in examples),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(parser=command)
    return command


def _add_url(parser: argparse.ArgumentParser, *, action: str = "store", more: str = "") -> None:
    parser.add_argument(
        "--url", metavar="URL", action=action, help=f"address of the node's HTTP side; also POSITRON_URL{more}"
    )
    add_config_flags(parser, _URL_FIELDS)


def _add_json(parser: argparse.ArgumentParser, text: str = "JSON instead of a table") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def _add_timeout(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--timeout", type=_number(0.001, SEND_TIMEOUT_MAX), default=5.0, metavar="SECONDS", help=text)


def _goal(text: str) -> str:
    if not re.fullmatch(GOAL_PATTERN, text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are {GOAL_WORDS}")
    return text


def _number(low: float, high: float) -> Callable[[str], float]:
    """Reads a number of seconds in that range."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number of seconds from {low:g} to {high:g}")
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number in that range."""

    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number from {low} to {high}")
        return value

    return read
