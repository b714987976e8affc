"""`testnet chaos run | list | lint | generate | replay | minimise`: scenarios from files to verdicts.

Progress and errors, one line each, go to standard error, results to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.testnet.errors import TestnetFailed, TestnetMisused, TestnetUnsupported
from node.testnet.scenario.scenario import SEED_MAX

if TYPE_CHECKING:
    from node.testnet.run.conductor import Conductor
    from node.testnet.run.verdict import Outcome
    from node.testnet.scenario.scenario import Scenario

__all__ = ["SEED_MAX", "add_chaos_commands", "carry_out", "read_scenario", "whole"]

SCENARIOS = Path(__file__).parent.parent / "scenarios"
DEFAULT_OUT = "runs"
REPEAT_MAX = 10_000


def add_chaos_commands(commands: Any) -> None:
    """Adds `chaos` with its own commands to the parsers of `testnet`."""
    chaos = commands.add_parser("chaos", help="run scripted scenarios that break the testnet", allow_abbrev=False)
    verbs = chaos.add_subparsers(required=True, metavar="COMMAND")

    verb = verbs.add_parser("run", help="run scenarios and judge them", allow_abbrev=False)
    verb.set_defaults(function=run)
    verb.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="a file, or the name of one that is shipped")
    _add_run_options(verb)
    verb.add_argument("--seed", type=whole(0, SEED_MAX), help="of everything left to chance (default: the scenario's)")
    verb.add_argument("--repeat", type=whole(1, REPEAT_MAX), default=1, help="runs, each with the next seed")
    verb.add_argument("--until-fail", action="store_true", help="stop after the first run that does not pass")
    verb.add_argument("--dry", action="store_true", help="say what would happen, and do nothing")

    verb = verbs.add_parser("list", help="show the scenarios that are shipped", allow_abbrev=False)
    verb.set_defaults(function=list_scenarios)
    verb.add_argument("--json", action="store_true", help="JSON instead of a table")

    verb = verbs.add_parser("lint", help="check scenario files", allow_abbrev=False)
    verb.set_defaults(function=lint)
    verb.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="files or names (default: all that are shipped)")
    verb.add_argument("--json", action="store_true", help="JSON instead of lines")

    verb = verbs.add_parser("generate", help="make scenarios by chance", allow_abbrev=False)
    verb.set_defaults(function=generate)
    verb.add_argument("--seed", type=whole(0, SEED_MAX), default=1, help="of the first one (default 1)")
    verb.add_argument("--count", type=whole(1, REPEAT_MAX), default=1, help="how many, each with the next seed")
    verb.add_argument("--into", metavar="FOLDER", help="write files there instead of to standard output")
    verb.add_argument("--json", action="store_true", help="JSON: the scenarios, or with --into the files")

    verb = verbs.add_parser("minimise", help="find a smaller scenario that fails as well, in `sim`", allow_abbrev=False)
    verb.set_defaults(function=minimise)
    verb.add_argument("scenario", metavar="SCENARIO", help="a file, a name, or the folder of a run")
    verb.add_argument("--json", action="store_true", help="JSON instead of YAML")

    report = commands.add_parser("report", help="make the page of a run that left a folder", allow_abbrev=False)
    report.set_defaults(function=make_report)
    report.add_argument("run", metavar="RUN", help="the folder")
    report.add_argument("--json", action="store_true", help="JSON instead of a path")

    verb = verbs.add_parser("replay", help="repeat a run that left a folder", allow_abbrev=False)
    verb.set_defaults(function=replay)
    verb.add_argument("run", metavar="RUN", help="the folder")
    _add_run_options(verb)


def _add_run_options(verb: argparse.ArgumentParser) -> None:
    from node.testnet.runners import RUNNER_NAMES

    verb.add_argument("--runner", choices=RUNNER_NAMES, default="auto", help="where the nodes run (default: auto)")
    verb.add_argument("--out", default=DEFAULT_OUT, help=f"where folders of runs are made (default {DEFAULT_OUT}/)")
    verb.add_argument("--junit", metavar="FILE", help="also write all verdicts there as JUnit XML")
    verb.add_argument("--json", action="store_true", help="JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Runs scenarios one after the other; the status is the worst of their verdicts."""
    loaded = [_load(name) for name in arguments.scenarios]
    if arguments.dry:
        return _show_schedules(loaded, arguments)
    return _run_all(loaded, arguments)


def replay(arguments: argparse.Namespace) -> int:
    """Runs the scenario of a folder again, with its seed; in `sim` to the same digest."""
    from node.testnet.report.stored import head

    folder = Path(arguments.run)
    former, _ = head(folder)
    arguments.seed, arguments.repeat, arguments.until_fail = None, 1, False
    if arguments.runner == "auto":
        arguments.runner = former["runner"]
    outcomes: list[str] = []
    loaded = _load(str(folder / "scenario.resolved.yaml"), former["scenario"])
    status = _run_all([loaded], arguments, on_digest=outcomes.append)
    digest = former["digest"]
    if digest and outcomes[0] != digest:
        raise TestnetFailed(f"the digest is {outcomes[0] or 'unknown'}, and was {digest}: the code has changed")
    if digest:
        sys.stderr.write(f"the same history, to the digest {digest}\n")
    return status


def list_scenarios(arguments: argparse.Namespace) -> int:
    """One line for each scenario that is shipped."""
    from node.cli.tables import table

    scenarios = [_load(str(path))[0] for path in sorted(SCENARIOS.glob("*.yaml"))]
    if arguments.json:
        records = [
            {"name": one.name, "title": one.title, "nodes": one.topology.nodes, "runners": one.runners}
            for one in scenarios
        ]
        print(json.dumps(records, indent=2))
        return 0
    rows = [(one.name, str(one.topology.nodes), " ".join(one.runners), one.title) for one in scenarios]
    print("\n".join(table(("NAME", "NODES", "RUNNERS", "TITLE"), rows, numbers=(1,))))
    return 0


def lint(arguments: argparse.Namespace) -> int:
    """Says all that is wrong with scenarios, with file, line and field; status 1 if anything is."""
    from node.testnet.scenario.source import Mistake, SourceError

    mistakes: list[Mistake] = []
    names = arguments.scenarios or [str(path) for path in sorted(SCENARIOS.glob("*.yaml"))]
    for name in names:
        try:
            read_scenario(_path_of(name))
        except SourceError as error:
            mistakes += error.mistakes
    if arguments.json:
        print(json.dumps([asdict(one) for one in mistakes], indent=2))
    else:
        sound = "1 scenario" if len(names) == 1 else f"{len(names)} scenarios"
        print("\n".join(str(mistake) for mistake in mistakes) or f"{sound}, nothing wrong")
    return 1 if mistakes else 0


def make_report(arguments: argparse.Namespace) -> int:
    """Writes `report.html` into the folder of a run and prints its path; status 1 if files of the run are damaged."""
    from node.testnet.report import write_report

    written = write_report(Path(arguments.run))
    told: dict[str, Any] = {"report": str(written.path), "damage": written.damage, "empty": written.empty}
    if written.damage:
        told |= {"status": 1, "error": written.damage[0]}
    print(json.dumps(told) if arguments.json else written.path)
    for line in written.damage:
        sys.stderr.write(f"testnet: {line}\n")
    if written.empty:
        sys.stderr.write(f"testnet: charts without data, the page says why: {'; '.join(written.empty)}\n")
    return 1 if written.damage else 0


def generate(arguments: argparse.Namespace) -> int:
    """Writes scenarios that are made by chance, as YAML."""
    import yaml

    from node.testnet.scenario.generate import generated

    files = []
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        text = yaml.safe_dump(generated(seed), sort_keys=False)
        if arguments.into is None and arguments.json:
            print(json.dumps(generated(seed)))
            continue
        if arguments.into is None:
            print(("---\n" if seed > arguments.seed else "") + text, end="")
            continue
        folder = Path(arguments.into)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TestnetFailed(f"{folder} cannot be made: {error.strerror}") from error
        _write(folder / f"chance-{seed}.yaml", text)
        files.append(str(folder / f"chance-{seed}.yaml"))
        if not arguments.json:
            print(files[-1])
    if files and arguments.json:
        print(json.dumps({"files": files}))
    return 0


def minimise(arguments: argparse.Namespace) -> int:
    """Prints the smallest scenario found that still does not pass; status 1 if the whole one passes."""
    import yaml

    from node.testnet.run.conductor import Conductor
    from node.testnet.runners.sim import SimRunner
    from node.testnet.scenario.generate import minimised
    from node.testnet.scenario.parse import parse_scenario
    from node.testnet.scenario.resolve import resolve
    from node.testnet.scenario.source import SourceError

    path = Path(arguments.scenario)
    name = str(path / "scenario.resolved.yaml") if path.is_dir() else arguments.scenario
    scenario, values = _load(name)
    ended: list[Outcome] = []

    def fails(candidate: dict[str, Any]) -> bool:
        try:
            parsed = parse_scenario(yaml.safe_dump(candidate), file=name, name=scenario.name)
        except SourceError:
            # Something in it names what was left out.
            return False
        outcome = Conductor(parsed, resolve(parsed), SimRunner()).run()
        ended.append(outcome)
        size = f"{parsed.topology.nodes} nodes, {len(parsed.timeline)} faults"
        sys.stderr.write(f"try {len(ended)}: {size}: {outcome.verdict.value}: {outcome.reason[:120]}\n")
        return outcome.verdict.value in ("failed", "deviated")

    values = {**values, "seed": scenario.seed}
    if not fails(values):
        error = TestnetUnsupported if ended[-1].verdict.status == TestnetUnsupported.status else TestnetFailed
        said = f"{ended[-1].verdict.value}: {ended[-1].reason}"
        raise error(f"{scenario.name} does not fail in sim, so there is nothing to make smaller: {said}")
    smallest = minimised(values, fails)
    print(json.dumps(smallest) if arguments.json else yaml.safe_dump(smallest, sort_keys=False).rstrip("\n"))
    return 0


def _run_all(
    loaded: Sequence[tuple[Scenario, Any]],
    arguments: argparse.Namespace,
    on_digest: Callable[[str], None] | None = None,
) -> int:
    from node.testnet.run.folder import junit

    outcomes: list[tuple[str, Outcome]] = []
    if arguments.junit:
        # What cannot be written is better known before the runs than after them.
        _write(Path(arguments.junit), junit(outcomes))
    for number in range(arguments.repeat):
        for scenario, source in loaded:
            seed = (scenario.seed if arguments.seed is None else arguments.seed) + number
            outcome = _run_one(replace(scenario, seed=seed), source, arguments)
            outcomes.append((scenario.name, outcome))
            if on_digest is not None:
                on_digest(outcome.digest)
            if arguments.junit:
                _write(Path(arguments.junit), junit(outcomes))
            is_over = arguments.until_fail and outcome.verdict.status
            if is_over or outcome.reason == "interrupted":
                return worst(outcomes)
    return worst(outcomes)


def worst(outcomes: Sequence[tuple[str, Outcome]]) -> int:
    """The exit status of several runs."""
    return max(outcome.verdict.status for _, outcome in outcomes)


def _run_one(scenario: Scenario, source: Any, arguments: argparse.Namespace) -> Outcome:
    from node.testnet.run.folder import outcome_record
    from node.testnet.runners import choose_runner

    chosen, why = choose_runner(arguments.runner, scenario)
    if arguments.runner == "auto":
        sys.stderr.write(f"runner {chosen} ({why})\n")
    conductor, page = carry_out(scenario, source, chosen, Path(arguments.out), _progress(scenario.name))
    outcome = conductor.outcome
    if arguments.json:
        print(json.dumps(outcome_record(conductor) | {"folder": str(page.parent)}))
    else:
        print(f"{scenario.name}: {outcome.verdict.value}: {outcome.reason}")
        print(f"{scenario.name}: {page}")
    return outcome


def carry_out(
    scenario: Scenario, source: Any, runner: str, out: Path, progress: Callable[[str], None]
) -> tuple[Conductor, Path]:
    """Runs a scenario and keeps all of it in a folder of its own below `out`; what ran it, and its report."""
    from node.testnet.report import write_report
    from node.testnet.run.conductor import Conductor
    from node.testnet.run.folder import RunFolder
    from node.testnet.runners import make_runner
    from node.testnet.scenario.resolve import resolve

    made = make_runner(runner)
    folder = RunFolder(out, scenario.name, scenario.seed, began=time.time_ns() / 1e9)
    conductor = Conductor(scenario, resolve(scenario), made, progress=progress)
    conductor.run()
    folder.write(conductor, source)
    return conductor, write_report(folder.path).path


def _show_schedules(loaded: Sequence[tuple[Scenario, Any]], arguments: argparse.Namespace) -> int:
    from node.testnet.scenario.resolve import resolve

    for scenario, _ in loaded:
        seed = scenario.seed if arguments.seed is None else arguments.seed
        records = [fault.record() for fault in resolve(replace(scenario, seed=seed)).faults]
        if arguments.json:
            print(json.dumps({"scenario": scenario.name, "seed": seed, "faults": records}))
            continue
        print(f"{scenario.name}, seed {seed}: {scenario.topology.nodes} nodes")
        for record in records:
            whom = record.get("node") or f"{len(str(record.get('links', '')).split(','))} links"
            print(f"  {record['at']:>6} s to {record['until']:>6} s  {record['step']}: {record['kind']} of {whom}")
    return 0


def _load(name: str, called: str = "") -> tuple[Scenario, Any]:
    """A scenario and the values of its file; TestnetMisused says all its mistakes."""
    from node.testnet.scenario.source import SourceError

    try:
        scenario, values = read_scenario(_path_of(name))
    except SourceError as error:
        more = len(error.mistakes) - 1
        rest = f" (and {more} more; see `testnet chaos lint`)" if more else ""
        raise TestnetMisused(f"{error.mistakes[0]}{rest}") from error
    return (replace(scenario, name=called) if called else scenario), values


def read_scenario(path: Path) -> tuple[Scenario, Any]:
    """The scenario in that file, and the file's values; SourceError with all its mistakes."""
    from node.testnet.scenario.parse import load_scenario
    from node.testnet.scenario.source import read

    return load_scenario(path), read(path).values


def _path_of(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    shipped = SCENARIOS / f"{name}.yaml"
    if not shipped.exists():
        known = ", ".join(sorted(one.stem for one in SCENARIOS.glob("*.yaml")))
        raise TestnetMisused(f"no scenario {name!r}; shipped are {known or 'none'}, and any file ending in .yaml")
    return shipped


def _progress(name: str) -> Callable[[str], None]:
    began = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:6.1f} s] {name}: {line}\n")

    return say


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise TestnetFailed(f"{path} cannot be written: {error.strerror}") from error


def whole(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number in that range, for argparse."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number from {low} to {high}")
        return int(text)

    return parse
