"""The commands against real nodes, one of them at a real terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from node.cli.client import Client
from node.cli.main import main
from node.cli.window import Record
from node.node import Node
from tests.node.network import DEADLINE, network_beside, udp_address, url_of

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    with network_beside(2) as (one, two):
        yield one, two


def output(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(list(words))
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    return captured.out


def test_what_one_command_sends_another_shows(pair: tuple[Node, Node], capsys: pytest.CaptureFixture[str]) -> None:
    one, two = pair
    sent = output(capsys, "send", two.name, '{"text": "hello"}', "--url", url_of(one))
    assert sent.startswith(f"delivered to {two.identity.node_id} in ")
    host, port = udp_address(two)
    output(capsys, "send", f"{host}:{port}", "--text", "bye", "--url", url_of(one))

    shown = output(capsys, "messages", "--url", url_of(two)).splitlines()

    assert [line.split("  ", 1)[1] for line in shown] == [
        f'{one.identity.node_id[:8]}  direct   {{"text": "hello"}}',
        f'{one.identity.node_id[:8]}  direct   "bye"',
    ]


def test_a_peer_that_nobody_knows_is_one_line_and_status_1(
    pair: tuple[Node, Node], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "nobody", "1", "--url", url_of(pair[0])]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "refused (status 404): no peer is called 'nobody'" in line


def test_every_table_shows_the_peer(pair: tuple[Node, Node], capsys: pytest.CaptureFixture[str]) -> None:
    one, two = pair
    for command in (["stats"], ["peers"], ["top", "--once", "--interval", "0.2"]):
        assert two.name in output(capsys, *command, "--url", url_of(one))
    output(capsys, "trust", "--url", url_of(one))
    record = json.loads(output(capsys, "top", "--once", "--json", "--interval", "0.2", "--url", url_of(one)))
    assert two.identity.node_id in [link["node_id"] for link in record["links"]]
    assert record["loop_lag"] is None or record["loop_lag"] >= 0


def test_a_terminal_without_the_characters_shows_others(pair: tuple[Node, Node]) -> None:
    command = [sys.executable, "-m", "node.cli.main", "top", "--once", "--interval", "0.1", "--url", url_of(pair[0])]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert pair[1].name.encode() in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("words", [["top", "--once", "--interval", "0.1"], ["stats"], ["messages"]])
def test_a_closed_output_is_nobody_who_reads(pair: tuple[Node, Node], words: list[str]) -> None:
    line = 'exec "$@" >&-'
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "node.cli.main", *words, "--url", url_of(pair[0])]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_top_follows_a_fault_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with network_beside(2, chaos_control=True) as (one, _):
        client = Client(url_of(one))

        def top() -> tuple[Record, Record]:
            record = json.loads(output(capsys, "top", "--once", "--json", "--interval", "0.5", "--url", url_of(one)))
            return record, next(link for link in record["links"] if link["transport"] == "udp")

        def reach(holds: Callable[[Record, Record], bool]) -> tuple[Record, Record]:
            give_up_at = time.monotonic() + DEADLINE
            while not holds(*(seen := top())):
                assert time.monotonic() < give_up_at, seen
            return seen

        quiet, link = reach(lambda _, link: link["loss_seen"] == 0)
        assert (quiet["faults"], link["loss_asked"]) == ([], 0.0)
        assert 0 < link["rtt_p50"] <= link["rtt_p99"]
        assert link["rtt_p50"] < link["rto"]

        lossy = {"step": "lossy", "kind": "loss", "settings": {"loss": 0.4, "delay": 50_000_000}, "seconds": 60}
        client.post("/api/v1/chaos/faults", json.dumps(lossy).encode())
        bad, link = reach(lambda _, link: bool(link["loss_seen"] and link["rtt_p50"] > 0.045))
        assert bad["faults"] == [{"step": "lossy", "kind": "loss"}]
        assert link["loss_asked"] == 0.4
        assert "faults    lossy (loss)" in output(capsys, "top", "--once", "--interval", "0.1", "--url", url_of(one))

        client.post("/api/v1/chaos/heal", b"{}")
        healed, link = reach(lambda _, link: link["loss_seen"] == 0 and link["rtt_p50"] < 0.045)
        assert (healed["faults"], link["loss_asked"]) == ([], 0.0)


def test_doctor_reaches_it_by_udp_and_by_tcp(pair: tuple[Node, Node], capsys: pytest.CaptureFixture[str]) -> None:
    one, _ = pair
    assert one.tcp_transport is not None
    host, port = udp_address(one)
    words = ["--port", "0", "--data-dir", "", "--peer", f"{host}:{port}"]
    words += ["--peer-tcp", f"{host}:{one.tcp_transport.local_address[1]}", "--json"]
    report = json.loads(output(capsys, "doctor", *words))
    verdicts = {finding["subject"]: finding["verdict"] for finding in report["findings"]}
    assert verdicts[f"UDP to {host}:{port}"] == "ok"
    assert verdicts[f"TCP to {host}:{one.tcp_transport.local_address[1]}"] == "ok"


def test_doctor_knows_a_node_that_does_not_tell_it_anything(capsys: pytest.CaptureFixture[str]) -> None:
    with network_beside(1, api_token="secret") as (one,):
        assert one.http_address is not None
        words = ["--port", "0", "--metrics-port", str(one.http_address[1]), "--data-dir", "", "--json"]
        findings = {one["subject"]: one for one in json.loads(output(capsys, "doctor", *words))["findings"]}
    assert findings["HTTP port"]["verdict"] == "ok"
    assert "in use by the node" in findings["HTTP port"]["detail"]
    assert findings["HTTP API"]["verdict"] == "warning"
    assert "--api-token-file" in findings["HTTP API"]["cure"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, b"xq"])
def test_a_terminal_is_drawn_on_and_given_back_at_the_end(pair: tuple[Node, Node], how: signal.Signals | bytes) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "node.cli.main", "top", "--interval", "0.2", "--url", url_of(pair[0])]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        drawn = b""
        while drawn.count(b"\x1b[H") < 2:
            drawn += os.read(master, 65536)
        if isinstance(how, bytes):
            os.write(master, how)
        else:
            process.send_signal(how)
        try:
            while more := os.read(master, 65536):
                drawn += more
        except OSError:
            pass  # the other end is closed: that is how a terminal ends
        assert process.wait(20) == 0
    os.close(master)
    assert drawn.startswith(b"\x1b[?1049h\x1b[?25l")
    assert drawn.endswith(b"\x1b[?25h\x1b[?1049l")
    assert pair[1].name.encode() in drawn
    assert b"Traceback" not in drawn
