"""Testnets in pytest: the fixture `testnet`, and scenario files that are collected as tests.

    pytest_plugins = ["node.testnet.pytest_plugin"]      # in the conftest.py at the root

    @pytest.mark.testnet(nodes=5, links={"all": {"delay": "20ms"}})
    def test_halves_find_together(testnet):
        with testnet.faults.partition("halves"):
            message = testnet.broadcast("node-1")
        testnet.wait_until_everywhere(message)

The fixture is a `Session`; its invariants are judged when the test is over, and one that does not hold is an error of
its own. With `testnet_scenarios = chaos/*.yaml` in the configuration of pytest those files are tests: each ends in a
verdict, leaves the folder of its run, and fails with the reason and with the command that repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from node.testnet.commands.chaos import carry_out, read_scenario
from node.testnet.errors import TestnetError, TestnetMisused
from node.testnet.run.verdict import Verdict
from node.testnet.session import Session

__all__ = ["ScenarioFailed", "ScenarioFile", "ScenarioItem"]

MARK = "testnet(nodes=5, runner=..., links={}, settings={}, seed=1, invariants=(...)): what the fixture brings up"


class ScenarioFailed(Exception):
    """A scenario did not pass; the text says why, where its folder is, and how to repeat it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--testnet-runner`, `--testnet-out` and the setting `testnet_scenarios`."""
    group = parser.getgroup("testnet", "testnets that are broken on purpose")
    group.addoption(
        "--testnet-runner", choices=("auto", "proc", "sim", "docker"), default="auto", help="where nodes run (auto)"
    )
    group.addoption("--testnet-out", default="runs", metavar="FOLDER", help="where scenarios leave their runs (runs/)")
    parser.addini("testnet_scenarios", "patterns of scenario files that are tests, from the root", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the mark known."""
    config.addinivalue_line("markers", MARK)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """A scenario file that the configuration names."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    root = parent.config.rootpath
    path = str(file_path.relative_to(root)) if file_path.is_relative_to(root) else str(file_path)
    if not any(fnmatch(path, pattern) for pattern in parent.config.getini("testnet_scenarios")):
        return None
    found: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return found


@pytest.fixture
def testnet(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A testnet that is up, as the mark `testnet` of the test describes it; judged and taken down afterwards."""
    words = _words(request.node.get_closest_marker("testnet"))
    runner = request.config.getoption("--testnet-runner")
    if runner == "docker":
        pytest.skip("the fixture runs local processes and simulations; scenarios run on containers")
    if runner != "auto":
        words["runner"] = runner
    with Session(**words) as session:
        yield session


def _words(mark: pytest.Mark | None) -> dict[str, Any]:
    """What the mark of a test gives to its testnet."""
    if mark is None:
        return {}
    known = list(signature(Session).parameters)
    wrong = [*map(repr, mark.args), *(name for name in mark.kwargs if name not in known)]
    if wrong:
        raise TestnetMisused(f"mark testnet: {wrong[0]}: allowed are {', '.join(known)}, each by its name")
    return dict(mark.kwargs)


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[ScenarioItem]:
        """Its one test; a file with mistakes is an error of the collection, with file, line and field."""
        from node.testnet.scenario.source import SourceError

        try:
            read_scenario(self.path)
        except SourceError as error:
            raise self.CollectError("\n".join(str(mistake) for mistake in error.mistakes)) from error
        yield ScenarioItem.from_parent(self, name=self.path.stem)


class ScenarioItem(pytest.Item):
    """One scenario as a test."""

    def runtest(self) -> None:
        """Runs it; ScenarioFailed unless it passes, skipped where this machine or runner cannot run it."""
        from node.testnet.runners import choose_runner

        scenario, source = read_scenario(self.path)
        chosen, _ = choose_runner(self.config.getoption("--testnet-runner"), scenario)
        out = Path(self.config.getoption("--testnet-out"))
        conductor, page = carry_out(scenario, source, chosen, out, lambda _: None)
        outcome = conductor.outcome
        if outcome.verdict is Verdict.UNSUPPORTED:
            pytest.skip(outcome.reason)
        if outcome.verdict is not Verdict.PASSED:
            raise ScenarioFailed(
                f"{outcome.verdict.value}: {outcome.reason}\nreport: {page}\nagain:  testnet chaos replay {page.parent}"
            )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **words: Any) -> Any:
        """The verdict in place of a traceback."""
        if isinstance(excinfo.value, ScenarioFailed | TestnetError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **words)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands, for reports."""
        return self.path, None, f"scenario {self.name}"
