from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.client import Client
from node.cli.main import main

ROOT = Path(__file__).parents[2]


def status_of(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("run", "--port", "x"),
        ("run", "--no-such-flag"),
        ("stats", "--no-such-flag"),
        ("stats", "--watch", "-1"),
        ("stats", "--watch", "soon"),
        ("stats", "--url", "nonsense"),
        ("peers", "--port", "99999"),
        ("broadcast",),
        ("broadcast", "[1]"),
        ("broadcast", "{"),
        ("config",),
        ("keygen", "--mtu", "1400"),
    ],
)
def test_an_impossible_command_line_ends_with_status_2_and_no_traceback(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(*words) == 2

    captured = capsys.readouterr()
    assert captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_an_interruption_while_settings_are_imported_is_said_in_one_line() -> None:
    program = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'node.config':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from node.cli.main import main\n"
        "sys.exit(main(['stats']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "positron: interrupted\n")


def test_an_interrupted_command_is_one_that_was_not_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def get(client: Client, path: str, *, seconds: float = 0.0) -> dict[str, object]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "get", get)
    assert status_of("stats") == 1
    assert capsys.readouterr().err == "positron: interrupted\n"
    assert status_of("stats", "--watch") == 0


def test_help_and_version_end_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--help") == 0
    assert status_of("run", "--help") == 0
    assert status_of("--version") == 0
    assert "--bootstrap" in capsys.readouterr().out


def test_help_imports_neither_the_node_nor_its_libraries() -> None:
    program = (
        "import sys\n"
        "from node.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'aiohttp', 'asyncio', 'nacl', 'prometheus_client', 'msgpack', 'node.node'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
