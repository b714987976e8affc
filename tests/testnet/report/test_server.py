"""A Prometheus of our own answers while its context lasts, and says why it does not."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.report.server import free_port, need_programs, serving

pytestmark = pytest.mark.loopback
needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")


def test_a_program_that_is_missing_is_named_with_the_way_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TestnetFailed, match="promtool is not installed; on Debian: apt-get install prometheus"):
        need_programs("promtool")


def test_a_taken_port_is_refused_and_any_free_one_can_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(TestnetMisused, match=f"port {port} of 127.0.0.1 cannot be had"):
            free_port(port)
    assert free_port() > 0


@needs_prometheus
def test_it_answers_until_the_context_ends(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 1s}\n")
    port = free_port()
    with serving(tmp_path, port), urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10)


@needs_prometheus
def test_a_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text("scrape_configs: 5\n")
    with (
        pytest.raises(TestnetFailed, match=r"prometheus ended at once: .*prometheus\.yml"),
        serving(tmp_path, free_port()),
    ):
        pass
