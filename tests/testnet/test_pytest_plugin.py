"""The pytest plugin in runs of pytest of its own, over projects as its users have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO = """\
schema: 1
title: a cut that heals
seed: 3
topology: {nodes: 4}
load: {publish: 5/s}
timeline:
  - {at: 1s, id: cut, partition: one, for: 3s}
"""


class Project:
    """A directory with the plugin switched on; `run` is one run of pytest in it, in virtual time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("conftest.py", 'pytest_plugins = ["node.testnet.pytest_plugin"]\n')
        self.write("pytest.ini", "[pytest]\ntestnet_scenarios = chaos/*.yaml\naddopts = --strict-markers\n")

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--testnet-runner", "sim", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_test_breaks_its_testnet_and_sees_it_heal(project: Project) -> None:
    project.write(
        "test_it.py",
        """
import pytest

@pytest.mark.testnet(nodes=4, links={"all": {"delay": "5ms"}}, seed=7)
def test_halves_find_together(testnet):
    assert testnet.names == ("seed", "node-1", "node-2", "node-3")
    with testnet.faults.partition("halves"):
        message = testnet.broadcast("node-1")
        testnet.run(2)
        assert len(testnet.holders(message)) == 2
    testnet.wait_until_everywhere(message)
    with testnet.faults.kill("node-2"):
        testnet.run(0.5)
        assert testnet.stats()["node-2"] is None
    testnet.wait_until(lambda: testnet.stats()["node-2"] is not None, 10)
    testnet.faults.loss("20%", target=["node-1"], seconds=2)
    testnet.run(3)
""",
    )
    status, output = project.run()
    assert status == 0, output
    assert "1 passed" in output


def test_an_invariant_that_does_not_hold_is_an_error(project: Project) -> None:
    project.write(
        "test_it.py",
        """
import pytest
from node.testnet import session

@pytest.mark.testnet(nodes=3)
def test_a_node_that_never_hears(testnet):
    session.SETTLE_SECONDS = 3.0
    testnet.runner.heal = lambda step=None: None
    testnet.faults.partition("one", target="node-2", seconds=600)
    testnet.broadcast("seed")
    testnet._begun.clear()
""",
    )
    status, output = project.run()
    assert status == 1
    assert "1 passed, 1 error" in output
    assert "every_message_everywhere" in output


def test_what_is_wrong_with_a_fault_is_one_line_with_what_is_allowed(project: Project) -> None:
    project.write(
        "test_it.py",
        """
import pytest
from node.testnet.errors import TestnetFailed, TestnetMisused

def test_mistakes(testnet):
    with pytest.raises(AttributeError, match="there is no fault 'explode'; there are loss, bursts"):
        testnet.faults.explode("node-1")
    with pytest.raises(TestnetMisused, match="node-9"):
        testnet.faults.kill("node-9")
    with pytest.raises(TestnetMisused, match="150%"):
        testnet.faults.loss("150%", target="node-1")
    with pytest.raises(TestnetMisused, match="'nobody': there are seed, node-1"):
        testnet.broadcast("nobody")
    with pytest.raises(TestnetFailed, match="a miracle did not hold within 1 s"):
        testnet.wait_until(lambda: False, 1, "a miracle")
""",
    )
    status, output = project.run()
    assert status == 0, output


@pytest.mark.parametrize(("words", "said"), [("node=4", "mark testnet: node: allowed are nodes, runner"), ("4", "4: ")])
def test_a_mark_that_nobody_knows_is_refused_by_name(project: Project, words: str, said: str) -> None:
    project.write("test_it.py", f"import pytest\n@pytest.mark.testnet({words})\ndef test_it(testnet): pass\n")
    status, output = project.run()
    assert status == 1
    assert said in output


def test_scenario_files_that_are_named_are_tests_and_others_are_not(project: Project) -> None:
    project.write("chaos/heals.yaml", SCENARIO)
    project.write("chaos/fails.yaml", SCENARIO + "expect:\n  - {detect: cut, when: {state: active_peers, "
                  "target: seed, below: 0}, within: 2s}\n")  # fmt: skip
    project.write("other/deploy.yaml", "a: 1\n")
    status, output = project.run("--junitxml=all.xml", "-v")
    assert status == 1, output
    assert "1 failed, 1 passed" in output
    assert "failed: cut detect" in output
    assert "again:  testnet chaos replay runs/" in output
    assert "Traceback" not in output
    names = {case.get("name") for case in ElementTree.parse(project.directory / "all.xml").iter("testcase")}
    assert names == {"heals", "fails"}
    folders = sorted(path.name for path in (project.directory / "runs").iterdir())
    assert len(folders) == 2
    assert all((project.directory / "runs" / name / "report.html").is_file() for name in folders)


def test_a_scenario_with_a_mistake_is_an_error_with_its_line(project: Project) -> None:
    project.write("chaos/bad.yaml", SCENARIO.replace("partition: one", "partition: all-of-it"))
    status, output = project.run()
    assert status == 2
    assert "bad.yaml:7: timeline[0].partition" in output
