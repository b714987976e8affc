"""The simulator's command line: list, run, sweep and replay scenarios.

A run that breaks a promise prints the scenario, the seed, what was broken where and when, and the one command that
replays it. Exit codes: 0 all promises kept, 1 some broken or nobody reads on, 2 the command line makes no sense.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from node.errors import UsageError
from node.sim.catalogue import SCENARIOS, scenario_named
from node.sim.checks.suite import INVARIANTS
from node.sim.history import History, Record
from node.sim.network import Network
from node.sim.scenario import Outcome, Scenario, run
from node.types import SECOND
from node.wire.limits import MEMBERS_MAX, PAYLOAD_BYTES_MAX

__all__ = ["main"]

OK, FAILED, USAGE = 0, 1, 2
SHOWN_MAX = 10
"""Violations of one run that are printed; the rest is counted."""

SECONDS_MAX, RATE_MAX, SIZE_MAX = 1e6, 1e4, PAYLOAD_BYTES_MAX - 1024
"""What a scenario may be changed to: beyond that a run does not end, or no message holds it with its number."""

SEED_MAX, JOBS_MAX = (1 << 63) - 1, 1024

CONTEXT_SECONDS = 3.0
"""History that a replay shows before the first violation."""


def main(arguments: Sequence[str] | None = None, out: IO[str] | None = None) -> int:
    """Carries a command line out and returns the exit code."""
    say = _Printer(out or sys.stdout)
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as ending:
        return int(ending.code or 0)
    try:
        code = options.command(options, say)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return USAGE
    except BrokenPipeError:
        # What is buffered for a reader that is gone must not fail a second time at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return FAILED
    except OSError as error:
        # A full disk below standard output or the history; what is still buffered must not fail a second time at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"error: {error.strerror or error}\n")
        return FAILED
    assert isinstance(code, int)
    return code


class _Printer:
    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def __call__(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


# --- commands


def _list(options: argparse.Namespace, say: _Printer) -> int:
    if options.json:
        rows = [{"name": s.name, "title": s.title, "nodes": s.nodes, "seconds": s.seconds} for s in SCENARIOS.values()]
        say(json.dumps({"scenarios": rows, "invariants": list(INVARIANTS)}))
        return OK
    width = max(map(len, SCENARIOS))
    for scenario in SCENARIOS.values():
        say(f"{scenario.name:{width}}  {scenario.nodes:4} nodes  {scenario.title}")
    say(f"invariants: {', '.join(INVARIANTS)}")
    return OK


def _run(options: argparse.Namespace, say: _Printer) -> int:
    chosen = _scenarios(options)
    code = OK
    with _writing(options.history) as on_network:
        for scenario in chosen:
            outcome = run(scenario, options.seed, is_cheap=options.cheap_crypto, on_network=on_network)
            _tell(outcome, options, say)
            code = code if outcome.is_passed else FAILED
    return code


def _sweep(options: argparse.Namespace, say: _Printer) -> int:
    chosen = _scenarios(options)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    pairs = [(scenario, seed) for seed in seeds for scenario in chosen]
    failed: list[Outcome] = []
    deliveries, virtual, real = 0, 0.0, 0.0
    for done, outcome in enumerate(_outcomes(pairs, options.jobs, is_cheap=options.cheap_crypto), 1):
        deliveries += outcome.figures.delivered
        virtual += outcome.virtual_seconds
        real += outcome.real_seconds
        if not outcome.is_passed:
            failed.append(outcome)
            if not options.json:
                _tell(outcome, options, say)
        if not options.quiet:
            sys.stderr.write(f"\r{done} of {len(pairs)} runs, {len(failed)} failed, {outcome.scenario:20}")
    if not options.quiet:
        sys.stderr.write("\n")
    if options.json:
        say(
            json.dumps(
                {
                    "runs": len(pairs),
                    "failed": [outcome.as_json() for outcome in failed],
                    "deliveries": deliveries,
                    "virtual_seconds": round(virtual, 3),
                }
            )
        )
    else:
        speed = f"{virtual:.0f} s of virtual time in {real:.0f} s of one processor"
        say(f"{len(pairs)} runs, {len(failed)} failed; {deliveries} deliveries; {speed}")
    return FAILED if failed else OK


def _replay(options: argparse.Namespace, say: _Printer) -> int:
    (scenario,) = _scenarios(options)
    histories: list[History] = []

    def keep(network: Network) -> None:
        histories.append(network.history)

    outcome = run(scenario, options.seed, is_cheap=options.cheap_crypto, on_network=keep)
    if outcome.violations and not options.json:
        first = outcome.violations[0].at
        say(f"the last {CONTEXT_SECONDS:.0f} s before the first broken promise:")
        for record in histories[0]:
            if first - CONTEXT_SECONDS * SECOND <= record.at <= first:
                say(json.dumps(record.as_json()))
    _tell(outcome, options, say)
    if options.digest and outcome.digest != options.digest:
        if not options.json:
            say(f"another run: digest {outcome.digest}, expected {options.digest}")
        return FAILED
    return OK if outcome.is_passed else FAILED


# --- parts


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    names: list[str] = options.scenario or list(SCENARIOS)
    return [
        scenario_named(name).changed(nodes=options.nodes, seconds=options.seconds, rate=options.rate, size=options.size)
        for name in names
    ]


def _outcomes(pairs: Sequence[tuple[Scenario, int]], jobs: int, *, is_cheap: bool) -> Iterator[Outcome]:
    if jobs == 1:
        for scenario, seed in pairs:
            yield run(scenario, seed, is_cheap=is_cheap)
        return
    with ProcessPoolExecutor(jobs) as pool:
        # Scenarios hold functions, which do not travel between processes; their names do.
        waiting = [
            pool.submit(_run_named, scenario.name, dict(scenario.overrides), seed, is_cheap=is_cheap)
            for scenario, seed in pairs
        ]
        for future in as_completed(waiting):
            yield future.result()


def _run_named(name: str, overrides: dict[str, float], seed: int, *, is_cheap: bool) -> Outcome:
    return run(scenario_named(name).changed(**overrides), seed, is_cheap=is_cheap)


@contextmanager
def _writing(path: Path | None) -> Iterator[Callable[[Network], None] | None]:
    if path is None:
        yield None
        return
    try:
        opened = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--history {str(path)!r}: {error.strerror}; allowed is a file that can be written") from error
    with opened as file:

        def write(record: Record) -> None:
            file.write(json.dumps(record.as_json()) + "\n")

        yield lambda network: network.history.listen(write)


def _tell(outcome: Outcome, options: argparse.Namespace, say: _Printer) -> None:
    if options.json:
        say(json.dumps(outcome.as_json()))
        return
    figures = outcome.figures
    verdict = "passed" if outcome.is_passed else "FAILED"
    say(
        f"{verdict}  {outcome.scenario}, seed {outcome.seed}: {figures.delivered} deliveries of {figures.published} "
        f"messages, p50 {figures.p50 * 1e3:.0f} ms, p99 {figures.p99 * 1e3:.0f} ms, "
        f"{figures.duplicates:.2f} duplicates each; {outcome.virtual_seconds:.0f} s in {outcome.real_seconds:.1f} s"
    )
    for violation in outcome.violations[:SHOWN_MAX]:
        say(f"  {violation}")
    if len(outcome.violations) > SHOWN_MAX:
        say(f"  ... and {len(outcome.violations) - SHOWN_MAX} more")
    if not outcome.is_passed:
        say(f"  replay: {outcome.command}")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"error: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="python -m node.sim",
        description="Networks of whole nodes in virtual time, and the promises they keep.",
        epilog="exit status: 0 every promise was kept, 1 one was broken, 2 the command line makes no sense.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the scenarios and the invariants")
    listing.add_argument("--json", action="store_true", help="one JSON object")
    listing.set_defaults(command=_list)
    running = _command(commands, "run", "one or several scenarios, all without a name")
    running.add_argument("scenario", nargs="*", metavar="SCENARIO")
    running.add_argument("--seed", type=_SEED, default=1, help="decides everything that happens (1)")
    running.add_argument("--history", type=Path, metavar="FILE", help="write every record as a line of JSON")
    running.set_defaults(command=_run)
    sweeping = _command(commands, "sweep", "scenarios with many seeds, all scenarios without a name")
    sweeping.add_argument("scenario", nargs="*", metavar="SCENARIO")
    sweeping.add_argument("--seeds", type=_Number(int, 1, SEED_MAX), default=10, help="how many (10)")
    sweeping.add_argument("--first-seed", type=_SEED, default=1, help="the others follow it (1)")
    sweeping.add_argument("--jobs", type=_Number(int, 1, JOBS_MAX), default=1, help="processes (1)")
    sweeping.add_argument("--quiet", action="store_true", help="no progress on standard error")
    sweeping.set_defaults(command=_sweep)
    replaying = _command(commands, "replay", "one run again, with what happened before its first broken promise")
    replaying.add_argument("scenario", nargs=1, metavar="SCENARIO")
    replaying.add_argument("--seed", type=_SEED, required=True, help="of the run")
    replaying.add_argument("--digest", help="fail if the run is not the one with this digest")
    replaying.set_defaults(command=_replay)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    nodes, size = _Number(int, 2, MEMBERS_MAX), _Number(int, 0, SIZE_MAX)
    parser.add_argument("--nodes", type=nodes, help="other than the scenario's")
    parser.add_argument("--seconds", type=_Number(float, 0, SECONDS_MAX), help="of load, other than the scenario's")
    parser.add_argument("--rate", type=_Number(float, 0.001, RATE_MAX), help="messages per second, other than its own")
    parser.add_argument("--size", type=size, help="bytes of payload, other than the scenario's")
    parser.add_argument(
        "--cheap-crypto", action="store_true", help="stand-ins for the cryptography: faster, another run"
    )
    return parser


@dataclass(frozen=True, slots=True)
class _Number:
    """Reads numbers of that kind and range."""

    kind: type[int] | type[float]
    least: float
    most: float

    def __call__(self, text: str) -> float:
        try:
            number = self.kind(text)
        except ValueError:
            number = self.kind(-1)
        if not self.least <= number <= self.most:
            what, ends = "a number", f"{self.least:g} to {self.most:g}"
            if self.kind is int:
                what, ends = "a whole number", f"{self.least} to {self.most}"
            raise argparse.ArgumentTypeError(f"{text!r}: allowed is {what} from {ends}")
        return number


_SEED = _Number(int, 0, SEED_MAX)
