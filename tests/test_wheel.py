"""What is installed from the wheel works anywhere: in an empty folder, without the checkout that it was made from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 120
"""Seconds for any one command; a busy machine needs many times what it takes alone."""

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(5 * DEADLINE)]


class Installed:
    """An environment that holds the wheel, and borrows from this one what the wheel depends on."""

    def __init__(self, folder: Path) -> None:
        _run(sys.executable, "-m", "flit_core.wheel", "--outdir", str(folder), str(ROOT))
        (self.wheel,) = folder.glob("*.whl")
        _run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
        self._programs = folder / "venv" / "bin"
        pip = ("pip", "--disable-pip-version-check", "--python", str(self._programs / "python"))
        _run(sys.executable, "-m", *pip, "install", "--quiet", "--no-index", "--no-deps", str(self.wheel))
        # A path file leads to packages and not to further path files: the checkout is not among what is borrowed.
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
        self.empty = folder / "empty"
        self.empty.mkdir()

    def run(self, program: str, *words: str) -> str:
        """Standard output of a program of the wheel, in the empty folder."""
        return _run(str(self._programs / program), *words, cwd=self.empty)

    def start(self, program: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self._programs / program), *words],
            cwd=self.empty,
            env=_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    one = Installed(tmp_path_factory.mktemp("wheel"))
    yield one
    assert list(one.empty.iterdir()) == []


def test_everything_that_is_no_code_is_in_the_wheel(installed: Installed) -> None:
    packed = set(zipfile.ZipFile(installed.wheel).namelist())
    files = [path for path in (ROOT / "node").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} >= {".py", ".typed", ".yml", ".yaml", ".json"}
    assert {str(path.relative_to(ROOT)) for path in files} - packed == set()


def test_commands_need_no_checkout(installed: Installed) -> None:
    where = installed.run("python", "-c", "import node; print(node.__file__)")
    assert not Path(where).is_relative_to(ROOT)
    assert installed.run("positron", "--version") == f"positron {installed.wheel.name.split('-')[1]}\n"
    scenarios = sorted(path.stem for path in (ROOT / "node/testnet/scenarios").glob("*.yaml"))
    listed = installed.run("testnet", "chaos", "list").splitlines()[1:]
    assert sorted(line.split()[0] for line in listed) == scenarios
    installed.run("testnet", "chaos", "lint", "loss-20")


def test_a_testnet_comes_up_is_watched_and_goes_down(installed: Installed) -> None:
    name = f"wheel-{os.getpid()}"
    installed.run("testnet", "up", "--runner", "proc", "--nodes", "1", "--name", name)
    try:
        seen = json.loads(installed.run("testnet", "watch", "--once", "--json", "--name", name))
        assert [(one["name"], one["state"]) for one in seen["nodes"]] == [("seed", "running"), ("node-1", "running")]
        with installed.start("testnet", "watch", "--web", "--port", "0", "--name", name) as page:
            assert page.stdout is not None
            with urllib.request.urlopen(f"{page.stdout.readline().strip()}overview", timeout=DEADLINE) as answer:
                assert b"Testnet overview" in answer.read()
            page.terminate()
            assert page.wait(DEADLINE) == 0
    finally:
        installed.run("testnet", "down", "--name", name)


def _run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "POSITRON", "PIP_"))}
