"""What scripts/compile says before it compiles; what comes out of it is the business of scripts/check-compiled."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEADER = Path(sysconfig.get_path("include"), "Python.h")


def compile_into(*words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "scripts/compile.py", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_it_tells_how_it_is_used() -> None:
    done = subprocess.run(["scripts/compile", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "scripts/compile [DIRECTORY]" in done.stdout


def test_the_pure_core_is_compiled_and_no_shell() -> None:
    status, listed, _ = compile_into("--list")
    names = listed.split()
    assert status == 0
    assert {"node.transport.connection", "node.core.machine", "node.sim.world"} <= set(names)
    assert names == sorted(name for name in names if importlib.util.find_spec(name))
    sources = [(ROOT / f"{name.replace('.', '/')}.py").read_text() for name in names]
    assert not [text for text in sources if "import asyncio" in text or "import socket" in text]


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    status, _, said = compile_into(str(tmp_path))
    assert status == 2
    assert said.splitlines()[-1].startswith(f"scripts/compile: error: DIRECTORY: {tmp_path} is there")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("word", ["--no-such-flag", "--list=1"])
def test_a_command_line_that_makes_no_sense_is_refused(word: str) -> None:
    assert compile_into(word)[0] == 2


def test_without_a_compiler_it_says_what_is_missing(tmp_path: Path) -> None:
    status, _, said = compile_into(str(tmp_path / "new"), CC="no-such-compiler -O2")
    assert status == 1
    assert said.startswith("scripts/compile: no C compiler: no-such-compiler is not on PATH")
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not HEADER.is_file(), reason="no headers of Python: it would end before it begins")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_it_finds_nothing_left_behind(tmp_path: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "scripts/compile.py", str(tmp_path / "new")]
    compiler = {"CC": "true", "PYTHONUNBUFFERED": "1"}  # looked for, and not reached
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | compiler, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        if running.stderr.readline().startswith("scripts/compile: translating"):
            running.send_signal(ending)
        assert running.stderr.read() == "scripts/compile: interrupted; nothing was left behind\n"
    assert running.returncode == 130
    assert list(tmp_path.iterdir()) == []
