"""The command line of `testnet`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.config.version import package_version
from node.testnet.main import main
from tests.testnet.conftest import FakeEngine


@pytest.mark.parametrize(
    "words", [["up", "-n", "0"], ["up", "-n", "many"], ["up", "--timeout", "0"], ["fly"], [], ["up", "--los", "5%"]]
)
def test_an_impossible_command_line_ends_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_a_missing_compose_file_ends_with_status_2(
    tmp_path: Path, testnets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["up", "--runner", "docker", "--no-build"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("testnet: no docker-compose.yml in ")


def test_the_runner_that_works_is_chosen_and_named(
    engine: FakeEngine, testnets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[str] = []
    monkeypatch.setattr("node.testnet.commands.containers.up", lambda _: called.append("docker"))
    monkeypatch.setattr("node.testnet.commands.local.up", lambda _: called.append("proc"))
    main(["up"])
    assert "runner docker (an engine answers, and the compose file is here)" in capsys.readouterr().err
    Path("docker-compose.yml").unlink()
    main(["up"])
    assert "runner proc (no containers here: no docker-compose.yml in" in capsys.readouterr().err
    assert called == ["docker", "proc"]


@pytest.mark.parametrize("words", [["--no-build"], ["--file", "docker-compose.yml"]])
def test_flags_for_containers_are_refused_for_processes(
    testnets: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--runner", "proc", *words]) == 2
    assert "is for --runner docker" in capsys.readouterr().err


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"testnet {package_version()}\n")


def test_the_command_line_is_read_without_the_libraries_of_the_extra() -> None:
    program = (
        "import sys\n"
        "from node.testnet.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "extra = {'docker', 'jsonschema', 'promql_parser', 'rich', 'yaml'} & set(sys.modules)\n"
        "sys.exit(f'imported: {extra}' if extra else 0)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_like_ctrl_c_and_its_handler_comes_back(
    number: signal.Signals, testnets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    undone: list[str] = []

    def up(_: object) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            undone.append("taken down")
            raise
        return 0

    monkeypatch.setattr("node.testnet.commands.local.up", up)
    before = signal.getsignal(number)
    assert main(["up", "--runner", "proc"]) == 1
    assert undone == ["taken down"]
    assert capsys.readouterr().err.endswith("testnet: interrupted\n")
    assert signal.getsignal(number) == before


def test_a_hangup_that_is_ignored_stays_ignored(testnets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def up(_: object) -> int:
        signal.raise_signal(signal.SIGHUP)
        return 0

    monkeypatch.setattr("node.testnet.commands.local.up", up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["up", "--runner", "proc"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
