from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from node.cli.ending import Ending
from node.cli.run import _loop_factory, _run
from node.config import NetworkConfig
from node.node import Node
from tests.ports import two_in_a_row

pytestmark = pytest.mark.loopback

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0


class Program:
    """A running `positron run`, with what it has written to standard error so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.text = ""

    def wait_for(self, words: str) -> None:
        assert self.process.stderr is not None
        deadline = time.monotonic() + DEADLINE
        while words not in self.text:
            ready, _, _ = select.select([self.process.stderr], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {words!r} within {DEADLINE} s in:\n{self.text}"
            chunk = os.read(self.process.stderr.fileno(), 65536)
            assert chunk, f"ended without {words!r}:\n{self.text}"
            self.text += chunk.decode()

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """The exit status, and the seconds that the end took."""
        began_at = time.monotonic()
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=DEADLINE)
        self.text += rest.decode()
        return self.process.returncode, time.monotonic() - began_at


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSITRON_")}
    return kept | {"XDG_STATE_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two UDP ports in a row, whose TCP and metrics ports are free too."""
    return two_in_a_row(range(21_000, 30_000, 7))


@contextmanager
def running(environment: dict[str, str], *words: str) -> Iterator[Program]:
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "run", *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


def positron(environment: dict[str, str], *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "node", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, input=stdin, timeout=DEADLINE, check=False,
    )  # fmt: skip


def test_the_two_nodes_of_the_readme_find_each_other_and_share_nothing(
    environment: dict[str, str], ports: tuple[int, int]
) -> None:
    first_port, second_port = (str(port) for port in ports)
    with (
        running(environment, "--port", first_port) as first,
        running(environment, "--port", second_port, "--bootstrap", f"127.0.0.1:{first_port}") as second,
    ):
        first.wait_for("peer_up")
        second.wait_for("peer_up")

        sent = positron(environment, "broadcast", "--port", second_port, "-", stdin='{"text": "hello"}')
        assert (sent.returncode, len(sent.stdout.strip())) == (0, 32), sent.stderr
        stats = json.loads(positron(environment, "stats", "--port", first_port, "--json").stdout)
        assert stats["active_peers"] == 1
        assert stats["gossip_stats"]["delivered"] == 1
        shown = positron(environment, "stats", "--port", second_port)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "RTO COMPUTED" in shown.stdout
        assert "established" in shown.stdout
        peers = positron(environment, "peers", "--url", f"http://127.0.0.1:{int(first_port) + 576}/")
        assert f"127.0.0.1:{second_port}" in peers.stdout

        for program, number in ((first, signal.SIGTERM), (second, signal.SIGINT)):
            status, seconds = program.end(number)
            assert status == 0, program.text
            assert seconds < 3, program.text  # one second, and what a loaded machine adds
            assert "Traceback" not in program.text
            assert "node_stopped" in program.text


def test_a_port_that_is_taken_ends_with_status_1_and_one_line(environment: dict[str, str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupier:
        occupier.bind(("127.0.0.1", 0))
        port = occupier.getsockname()[1]

        ports = ("--port", str(port), "--tcp-port", "0", "--metrics-port", "0")
        done = positron(environment, "run", "--host", "127.0.0.1", *ports)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"positron: cannot listen on UDP 127.0.0.1:{port}: Address already in use; "
        "choose another port with --port or POSITRON_PORT"
    ]


@pytest.mark.parametrize(
    "words", [["--port", "0"], ["--port", "0", "--no-enable-udp"], ["--port", "21999"]], ids=["udp", "tcp", "fixed"]
)
def test_a_host_of_somebody_else_ends_with_status_1_and_one_line(words: list[str], environment: dict[str, str]) -> None:
    done = positron(environment, "run", "--host", "2001:db8::1", *words)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "[2001:db8::1]:" in line
    assert line.endswith("; choose another address with --host or POSITRON_HOST")


def test_an_open_key_file_ends_with_status_1_and_one_line_that_names_the_cure(
    environment: dict[str, str], tmp_path: Path
) -> None:
    positron(environment, "keygen", "--data-dir", str(tmp_path))
    key = tmp_path / "identity.key"
    key.chmod(0o644)

    done = positron(environment, "run", "--port", "0", "--data-dir", str(tmp_path))

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"chmod 600 {key}" in done.stderr


def test_an_impossible_configuration_ends_with_status_2_and_a_line_per_mistake(environment: dict[str, str]) -> None:
    done = positron(environment | {"POSITRON_MTU": "10"}, "run", "--port", "99999", "--bootstrap", "nonsense")

    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("positron: ") for line in lines)


def test_every_line_of_a_json_log_is_json_from_the_start_to_the_end(environment: dict[str, str]) -> None:
    with running(
        environment, "--port", "0", "--log-format", "json", "--bootstrap", "no-such-host.invalid:1"
    ) as program:
        program.wait_for("node_started")
        status, _ = program.end(signal.SIGTERM)

    assert status == 0
    events = [json.loads(line)["event"] for line in program.text.splitlines()]
    assert events[0] == "node_started"
    assert events[-1] == "node_stopped"


def test_a_defect_ends_the_program_with_status_1(environment: dict[str, str]) -> None:
    program = (
        "import asyncio, sys\n"
        "from node.cli.main import main\n"
        "from node.transport.udp_socket import UDPSocket\n"
        "def broken(self): raise ZeroDivisionError('planted')\n"
        "UDPSocket._on_readable = broken\n"
        "import socket\n"
        "from node.node import Node\n"
        "start = Node.start\n"
        "async def started(self):\n"
        "    await start(self)\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:\n"
        "        stranger.sendto(b'x', self.udp_transport.local_address)\n"
        "Node.start = started\n"
        "sys.exit(main(['run', '--host', '127.0.0.1', '--port', '0']))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "event_loop_failed" in done.stderr
    assert done.stderr.splitlines()[-1] == "positron: stopped by a defect: ZeroDivisionError: planted"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["node.cli.run", "node.storage.keyfile", "exit"])
def test_a_signal_ends_the_program_well_at_any_moment(
    moment: str, number: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import atexit, os, signal, sys\n"
        f"def strike(): os.kill(os.getpid(), {int(number)})\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {moment!r}: strike()\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from node.cli.main import main\n"
        f"if {moment!r} == 'exit':\n"
        "    atexit.register(strike)\n"
        "    from node.node import Node\n"
        "    start = Node.start\n"
        "    async def started(self):\n"
        "        await start(self)\n"
        "        strike()\n"
        "    Node.start = started\n"
        f"sys.exit(main(['run', '--host', '127.0.0.1', '--port', '0', '--data-dir', {str(tmp_path / 'data')!r}]))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert ("node_stopped" in done.stderr) == (moment == "exit")


def test_a_closed_pipe_is_no_traceback(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "config", "check"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(timeout=DEADLINE)

    assert errors == b""


def test_a_full_disk_is_one_line(environment: dict[str, str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "node", "config", "check"],
            cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (1, "positron: failed: No space left on device\n")


def test_a_closed_output_is_no_traceback(environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m node config check >&-', sys.executable],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip

    assert done.stderr == ""


def test_uvloop_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _loop_factory() is None
    installed = ModuleType("uvloop")
    installed.new_event_loop = asyncio.new_event_loop  # type: ignore[attr-defined]  # all that is asked of it
    monkeypatch.setitem(sys.modules, "uvloop", installed)
    assert _loop_factory() is asyncio.new_event_loop


@pytest.mark.usefixtures("handlers")
def test_a_start_that_waits_for_a_name_ends_at_once() -> None:
    class Waiting(Node):
        async def start(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.Event().wait()

    with Ending() as ending:
        node = Waiting(NetworkConfig(port=0, data_dir=""))
        assert asyncio.run(asyncio.wait_for(_run(node, ending), DEADLINE)) == 0
