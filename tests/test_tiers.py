"""A run must not look complete when it is not: what tests/conftest.py says at the end of one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "xdist.plugin")
"""Those that pyproject.toml has options for; to load every one that is installed takes longer than the tests do."""

CONNECT = "socket.create_connection(('127.0.0.1', 9), timeout=1)"


class Run:
    """One run of pytest over a project of its own, with the true conftest.py and pyproject.toml."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "tests").mkdir()
        shutil.copy(ROOT / "pyproject.toml", directory)
        shutil.copy(ROOT / "tests" / "conftest.py", directory / "tests")
        self.status = -1
        self.output = ""

    def add(self, name: str, body: str, *, mark: str = "") -> None:
        path = self.directory / "tests" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"import contextlib, socket, pytest\n{mark}\ndef test_it() -> None:\n    {body}\n")

    def start(self, *arguments: str, path: str = os.environ["PATH"], keeps_cache: bool = False) -> None:
        cache = [] if keeps_cache else ["-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGINS, *cache, *arguments],
            cwd=self.directory,
            env={**os.environ, "PATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.status, self.output = done.returncode, done.stdout + done.stderr

    @property
    def closing_lines(self) -> list[str]:
        return self.output.splitlines()[-7:]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_the_last_lines_say_for_each_tier_what_ran(run: Run) -> None:
    run.add("test_a.py", "pass")
    run.add("scenarios/test_b.py", "pytest.skip('no reason')")
    run.start()
    assert run.status == 0
    assert run.closing_lines == [
        "unit: ran (1 passed)",
        "simulator: ran (1 skipped)",
        *[f"{tier}: skipped: no tests were collected" for tier in ("loopback", "browser", "netns", "lab", "docker")],
    ]


def test_a_tier_without_its_tools_says_which_are_missing(run: Run) -> None:
    run.add("docker/test_a.py", "pass")
    run.start(path="")
    assert run.status == 0
    assert "docker: skipped: docker is not installed (see tests/lab/install)" in run.closing_lines


def test_a_required_tier_that_cannot_run_is_an_error(run: Run) -> None:
    run.add("docker/test_a.py", "pass")
    run.start("--require-tiers", "--tier", "docker", path="")
    assert run.status == 1
    assert run.output.splitlines()[-1] == "error: every tier was required, and these did not run wholly: docker"


def test_a_required_tier_without_tests_is_an_error(run: Run) -> None:
    run.add("test_a.py", "pass")
    run.start("--require-tiers", "--tier", "unit", "--tier", "netns")
    assert run.status == 1


def test_a_required_tier_that_ran_wholly_is_enough(run: Run) -> None:
    run.add("test_a.py", "pass")
    run.start("--require-tiers", "--tier", "unit")
    assert run.status == 0


def test_a_socket_in_the_unit_tier_is_an_error(run: Run) -> None:
    run.add("test_a.py", CONNECT)
    run.start()
    assert run.status == 1
    assert "mark the test `loopback`" in run.output


def test_a_socket_in_the_loopback_tier_is_not(run: Run) -> None:
    run.add("test_a.py", f"with contextlib.suppress(OSError): {CONNECT}", mark="@pytest.mark.loopback")
    run.start()
    assert run.status == 0
    assert "loopback: ran (1 passed)" in run.closing_lines


def test_the_last_part_closes_for_both_parts(run: Run) -> None:
    run.add("test_a.py", "pass")
    run.add("sim/test_b.py", "assert False")
    run.add("test_c.py", "pass", mark="@pytest.mark.loopback")
    run.start("--part", "first", "--numprocesses", "2", "--tier", "unit", "--tier", "simulator", keeps_cache=True)
    assert run.status == 1
    assert not [line for line in run.closing_lines if line.startswith("unit: ")]
    run.start("--part", "last", "--numprocesses", "2", "--tier", "loopback", "--require-tiers", keeps_cache=True)
    assert run.status == 0
    assert run.closing_lines[:4] == [
        "unit: ran (1 passed)",
        "simulator: ran (1 failed)",
        "loopback: ran (1 passed)",
        "browser: skipped: not selected",
    ]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_slow_tests_run_when_they_are_asked_for_and_are_counted_otherwise(run: Run, processes: str) -> None:
    run.add("test_a.py", "pass")
    run.add("test_b.py", "assert False", mark="@pytest.mark.slow")
    run.add("test_c.py", "assert False", mark="@pytest.mark.slow\n@pytest.mark.loopback")
    run.start("--tier", "unit", "--numprocesses", processes)
    assert run.status == 0
    assert "1 slow tests were left out; --slow runs them" in run.output
    assert "unit: ran (1 passed)" in run.closing_lines
    run.start("--tier", "unit", "--slow", "--numprocesses", processes)
    assert "left out" not in run.output
    assert "unit: ran (1 passed, 1 failed)" in run.closing_lines


def test_a_tier_that_the_first_part_did_not_run_is_missed_by_the_last(run: Run) -> None:
    run.add("test_a.py", "pass")
    run.add("test_c.py", "pass", mark="@pytest.mark.loopback")
    run.start("--part", "first", "--tier", "unit", "--tier", "simulator", keeps_cache=True)
    run.start("--part", "last", "--tier", "loopback", "--require-tiers", keeps_cache=True)
    assert run.status == 1
    assert run.output.splitlines()[-1].endswith("did not run wholly: simulator")


def test_a_tier_that_cannot_run_says_why_from_whatever_process_looked(run: Run) -> None:
    run.add("docker/test_a.py", "pass")
    run.start("--part", "last", "--numprocesses", "2", "--tier", "docker", path="", keeps_cache=True)
    assert run.status == 0
    assert run.closing_lines[-1] == "docker: skipped: docker is not installed (see tests/lab/install)"


def test_tests_of_real_time_wait_in_two_lines(run: Run) -> None:
    file = f"pathlib.Path('{run.directory}', __name__[-1])"
    note = f"import os, pathlib; {file}.write_text(os.environ['PYTEST_XDIST_WORKER'])"
    for name in ("docker/test_a.py", "docker/test_b.py", "lab/test_c.py"):
        run.add(name, note)
    for name in ("test_d.py", "test_e.py", "test_f.py"):
        run.add(name, note, mark="@pytest.mark.loopback")
    with (run.directory / "tests" / "conftest.py").open("a") as conftest:
        conftest.write("\n\nwhy_not = lambda tier: None\n")
    run.start("--part", "last", "--numprocesses", "2", keeps_cache=True)
    assert "6 passed" in run.output, run.output
    workers = {name: (run.directory / name).read_text() for name in "abcdef"}
    assert len({workers[name] for name in "abc"}) == len({workers[name] for name in "def"}) == 1
    assert workers["a"] != workers["d"]
