"""Sorts the tests into tiers, finds out which tiers this machine can run, and closes a run with one line per tier.

A tier is what a test needs, not what it tests: `unit` and `simulator` need nothing and are held to it (a socket
opened there is an error), `loopback` needs real sockets, the others need tools and rights. A tier
that cannot run is skipped with the reason; with `--require-tiers` that is a failure, so that no run looks complete
which is not.

`scripts/test` runs in two parts: first the tiers without sockets, on all processors, then those that keep real time:
those with containers one test after the other, and beside them the rest, likewise. The last part closes for both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

TIERS = ("unit", "simulator", "loopback", "browser", "netns", "lab", "docker")
DIRECTORIES = {"sim": "simulator", "scenarios": "simulator"} | {tier: tier for tier in TIERS[3:]}
WITHOUT_SOCKETS = frozenset({"unit", "simulator"})
WITH_CONTAINERS = ("tests/lab/", "tests/docker/")
PROBE_TIMEOUT = 20.0  # seconds; a Docker engine that needs longer to say its version will not carry the tests either

ROOT = Path(__file__).parent.parent
TIER = pytest.StashKey[str]()
TALLY = pytest.StashKey["Tally"]()
FIRST_PART = "tiers/first_part"  # where the cache of pytest keeps the outcomes of the first part

# Derandomised, so that a run tells about the change and not about the day; searching for more is the fuzzers' work.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("default")


class Tally:
    """Outcomes per tier of one run, why tiers did not run, and how many slow tests were left out."""

    def __init__(self) -> None:
        self.selected: tuple[str, ...] = TIERS
        self.missing: dict[str, str] = {}
        self.left_out = 0
        self.outcomes: dict[str, Counter[str]] = {tier: Counter() for tier in TIERS}

    def resume(self, outcomes: dict[str, dict[str, int]]) -> None:
        """Adds the outcomes of the first part of this run."""
        self.selected = tuple(tier for tier in TIERS if tier in outcomes or tier in self.selected)
        for tier, counts in outcomes.items():
            self.outcomes[tier].update(counts)

    def kept(self) -> dict[str, dict[str, int]]:
        """What `resume` of the last part takes."""
        return {tier: dict(self.outcomes[tier]) for tier in self.selected}

    def count(self, report: pytest.TestReport) -> None:
        tier = getattr(report, "tier", None)
        if tier is None:  # a process that died with its test; pytest itself tells of it
            return
        counts = self.outcomes[tier]
        if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
            is_expected = hasattr(report, "wasxfail") and report.outcome == "skipped"
            is_broken = report.when == "setup" and report.outcome == "failed"
            counts["xfailed" if is_expected else "error" if is_broken else report.outcome] += 1
        elif report.when == "teardown" and report.outcome == "failed":
            counts["error"] += 1

    def lines(self) -> list[str]:
        """One line per tier, in the order of TIERS."""
        return [f"{tier}: {self._state(tier)}" for tier in TIERS]

    def incomplete(self) -> list[str]:
        """The selected tiers of which nothing, or not everything, ran."""
        return [tier for tier in self.selected if self.outcomes[tier]["skipped"] or not self._ran(tier)]

    def _ran(self, tier: str) -> int:
        return sum(count for outcome, count in self.outcomes[tier].items() if outcome != "skipped")

    def _state(self, tier: str) -> str:
        if tier not in self.selected:
            return "skipped: not selected"
        if tier in self.missing:
            return f"skipped: {self.missing[tier]}"
        counts = self.outcomes[tier]
        if not counts:
            return "skipped: no tests were collected"
        words = ("passed", "failed", "error", "xfailed", "skipped")
        return f"ran ({', '.join(f'{counts[word]} {word}' for word in words if counts[word])})"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers")
    group.addoption("--tier", action="append", choices=TIERS, help="run this tier alone; may be repeated")
    group.addoption("--slow", action="store_true", help="also run the tests that are slow for what they add")
    group.addoption("--longer", action="store_true", help="also run the tests that take minutes")
    group.addoption("--require-tiers", action="store_true", help="a selected tier that does not run wholly is an error")
    group.addoption("--part", choices=("first", "last"), help="of a run in two parts; the last one closes for both")


def pytest_configure(config: pytest.Config) -> None:
    tally = Tally()
    chosen = config.getoption("--tier") or TIERS
    tally.selected = tuple(tier for tier in TIERS if tier in chosen)
    config.stash[TALLY] = tally
    if not hasattr(config, "workerinput"):  # of pytest-xdist: a process that runs tests and counts nothing
        config.pluginmanager.register(Closing(config))


# ------------------------------------------------------------------------------------------------ sorting and skipping


def tier_of(item: pytest.Item) -> str:
    """The tier by the test's directory; elsewhere `loopback` if it is marked so, else `unit`."""
    try:
        first = item.path.relative_to(ROOT / "tests").parts[0]
    except ValueError:
        first = ""
    if first in DIRECTORIES:
        return DIRECTORIES[first]
    return next((tier for tier in TIERS if item.get_closest_marker(tier)), "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tally = config.stash[TALLY]
    kept: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        tier = item.stash[TIER] = tier_of(item)
        item.add_marker(tier)
        is_due = tier in tally.selected and (config.getoption("--longer") or item.get_closest_marker("longer") is None)
        is_left = is_due and item.get_closest_marker("slow") is not None and not config.getoption("--slow")
        tally.left_out += is_left
        (kept if is_due and not is_left else deselected).append(item)
    tiers = {item.stash[TIER] for item in kept}
    for tier in TIERS:
        if tier in tiers and (reason := why_not(tier)):
            tally.missing[tier] = reason
    if hasattr(config, "workeroutput"):
        config.workeroutput["missing"] = tally.missing
        config.workeroutput["left_out"] = tally.left_out
    for item in kept:
        if item.stash[TIER] in tally.missing:
            item.add_marker(pytest.mark.skip(reason=tally.missing[item.stash[TIER]]))
    if deselected:
        config.hook.pytest_deselected(items=deselected)
    items[:] = sorted(kept, key=lambda item: TIERS.index(item.stash[TIER]))


def why_not(tier: str) -> str | None:
    """Why this machine cannot run the tier; None if it can."""
    if tier == "browser":
        return _needs("chromium")
    if tier == "netns":
        return _needs_root() or _needs("ip") or _needs("iptables") or _refuses("unshare", "--net", "true")
    if tier == "lab":
        return _needs_root() or _needs("linux.uml") or _needs("crun") or why_not("docker")  # which makes the images
    if tier == "docker":
        return (
            _needs("docker")
            or _refuses("docker", "version", "--format", "{{.Server.Version}}")
            or _refuses("docker", "compose", "version")
        )
    return None


def _needs_root() -> str | None:
    return None if os.geteuid() == 0 else "needs root"


def _needs(program: str) -> str | None:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return None if shutil.which(program, path=path) else f"{program} is not installed (see tests/lab/install)"


def _refuses(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` gave no answer in {PROBE_TIMEOUT:.0f} s"
    if done.returncode == 0:
        return None
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"`{' '.join(command)}` failed: {reason}"


class TwoLines(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of real time wait in one of two lines: with containers, which mostly wait, or without."""

    def _split_scope(self, nodeid: str) -> str:
        return "containers" if nodeid.startswith(WITH_CONTAINERS) else "sockets"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> TwoLines | None:
    return TwoLines(config, log) if config.getoption("--part") == "last" else None


# ------------------------------------------------------------------------------------------------------ sockets denied


class _SocketGuard:
    """Raises when a test of a tier without sockets binds or connects one.

    An audit hook sees every socket, however it was opened. It cannot be removed, so there is one, switched per test.
    """

    def __init__(self) -> None:
        self.is_on = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.is_on and event in ("socket.bind", "socket.connect") and isinstance(arguments[1], tuple):
            raise RuntimeError(f"{event} to {arguments[1]} in a tier without sockets; mark the test `loopback`")


GUARD = _SocketGuard()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    GUARD.is_on = item.stash[TIER] in WITHOUT_SOCKETS
    try:
        return (yield)
    finally:
        GUARD.is_on = False


# ------------------------------------------------------------------------------------------------------- closing lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.tier = item.stash[TIER]  # type: ignore[attr-defined]  # goes with the report to the process that counts
    return report


class Closing:
    """Counts what the tests report, in whatever process they run, and closes the run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tally = config.stash[TALLY]
        self.part = config.getoption("--part")
        self.is_strict = config.getoption("--require-tiers") and not config.option.collectonly

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tally.count(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process of pytest-xdist is done: it has looked at what this machine can run."""
        told = getattr(node, "workeroutput", {})
        self.tally.missing.update(told.get("missing", {}))
        self.tally.left_out = max(self.tally.left_out, told.get("left_out", 0))  # each process sorts all tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.part == "first":
            self.config.cache.set(FIRST_PART, self.tally.kept())
            return
        if self.part == "last":
            self.tally.resume(self.config.cache.get(FIRST_PART, {}))
        if self.is_strict and session.exitstatus == 0 and self.tally.incomplete():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or self.config.option.collectonly or self.config.option.help:
            return
        if self.tally.left_out:
            terminal.write_line(f"{self.tally.left_out} slow tests were left out; --slow runs them")
        if self.part == "first":
            return
        for line in self.tally.lines():
            terminal.write_line(line)
        if self.is_strict and (incomplete := self.tally.incomplete()):
            names = ", ".join(incomplete)
            terminal.write_line(f"error: every tier was required, and these did not run wholly: {names}")
