from __future__ import annotations

import os
import resource
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from node.cli.doctor_machine import clock, descriptors, kernel, key, ports
from node.cli.finding import Verdict
from node.config import NetworkConfig
from node.node.probe import KernelFeatures
from node.storage.keyfile import create

ALL = KernelFeatures(
    has_segmentation=True,
    has_coalescing=True,
    has_drop_counter=True,
    has_ecn=True,
    buffer_wanted=4 << 20,
    receive_buffer=4 << 20,
    send_buffer=4 << 20,
)


@pytest.mark.loopback
def test_free_ports_are_free_and_taken_ones_are_named_with_a_cure() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.create_server(("127.0.0.1", 0)) as tcp:
        udp.bind(("127.0.0.1", 0))
        config = NetworkConfig(
            host="127.0.0.1", port=udp.getsockname()[1], tcp_port=tcp.getsockname()[1], metrics_port=0, data_dir=""
        )
        taken = list(ports(config, ""))
        own = list(ports(config, "http://127.0.0.1:9464"))
    free = list(ports(config, ""))

    assert [finding.verdict for finding in taken] == [Verdict.FAILED, Verdict.FAILED, Verdict.OK]
    assert "--port" in taken[0].cure
    assert "--tcp-port" in taken[1].cure
    assert [finding.verdict for finding in own] == [Verdict.OK] * 3
    assert "in use by the node at http://127.0.0.1:9464" in own[0].detail
    assert [finding.verdict for finding in free] == [Verdict.OK] * 3


@pytest.mark.loopback
def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    found = list(ports(NetworkConfig(host="192.0.2.77", enable_tcp=False, enable_http=False), ""))
    assert [finding.verdict for finding in found] == [Verdict.FAILED, Verdict.SKIPPED, Verdict.SKIPPED]
    assert "--host" in found[0].cure


def test_a_name_server_that_does_not_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    look_up = socket.getaddrinfo

    def hang(host: str, *arguments: int, **options: int) -> object:
        if "family" in options:  # whether it is an address is asked otherwise
            gate.wait(10)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr("node.transport.addresses.LISTEN_LOOKUP_SECONDS", 0.01)
    try:
        found = list(ports(NetworkConfig(host="seed.example", metrics_host="seed.example", port=9000), ""))
    finally:
        gate.set()
    assert [finding.verdict for finding in found] == [Verdict.FAILED] * 3
    assert "took longer than" in found[0].detail
    assert "DNS" in found[0].cure


def test_a_key_file_is_looked_at_and_never_made(tmp_path: Path) -> None:
    config = NetworkConfig(data_dir=str(tmp_path / "state" / "9000"))
    assert key(config, "").verdict is Verdict.OK
    assert list(tmp_path.iterdir()) == []

    identity = create(tmp_path / "state" / "9000" / "identity.key")
    assert identity.node_id[:8] in key(config, "").detail

    (tmp_path / "state" / "9000" / "identity.key").chmod(0o644)
    found = key(config, "")
    assert found.verdict is Verdict.FAILED
    assert found.cure == f"chmod 600 {tmp_path}/state/9000/identity.key"


def test_each_key_that_cannot_be_used_has_the_cure_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    config = NetworkConfig(data_dir=str(tmp_path))
    path.touch(mode=0o600)
    assert key(config, "").cure.startswith("restore it from a copy, or move it away")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert key(config, "").cure.startswith("move it away")
    path.unlink()
    path.mkdir()
    assert key(config, "").cure.startswith("move it away")


def test_a_full_disk_has_no_place_for_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = list(os.statvfs(tmp_path))
    disk[4] = 0  # f_bavail
    monkeypatch.setattr("node.cli.doctor_machine.os.statvfs", lambda path: os.statvfs_result(disk))
    found = key(NetworkConfig(data_dir=str(tmp_path / "9000")), "")
    assert found.verdict is Verdict.FAILED
    assert "no space left" in found.detail
    assert "make room" in found.cure


def test_the_key_of_a_running_node_of_another_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.cli.doctor_machine.os.access", lambda path, mode: False)
    config = NetworkConfig(data_dir=str(tmp_path))
    assert key(config, "http://127.0.0.1:9464").verdict is Verdict.SKIPPED
    assert key(config, "").verdict is Verdict.FAILED


def test_a_key_in_memory_is_a_warning() -> None:
    assert key(NetworkConfig(data_dir=""), "").verdict is Verdict.WARNING


def test_a_clock_before_the_program_was_made_is_wrong() -> None:
    found = clock(now=0.0)
    assert (found.verdict, "1970-01-01" in found.detail) == (Verdict.FAILED, True)
    assert clock().verdict in (Verdict.OK, Verdict.WARNING)


def test_a_low_limit_of_open_files_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert descriptors(NetworkConfig(max_connections=1000)).verdict is Verdict.WARNING
    assert descriptors(NetworkConfig(max_connections=100)).verdict is Verdict.OK
    assert descriptors(NetworkConfig(enable_tcp=False)).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("features", "subject"),
    [
        (replace(ALL, has_segmentation=False), "UDP GSO"),
        (replace(ALL, has_coalescing=False), "UDP GRO"),
        (replace(ALL, has_drop_counter=False), "drop counter"),
        (replace(ALL, has_ecn=False), "ECN"),
        (replace(ALL, receive_buffer=212_992), "receive buffer"),
        (replace(ALL, send_buffer=212_992), "send buffer"),
    ],
)
def test_each_thing_that_a_kernel_lacks_is_a_warning_with_a_cure(features: KernelFeatures, subject: str) -> None:
    lacking = [finding for finding in kernel(features) if finding.verdict is not Verdict.OK]
    assert [(finding.subject, finding.verdict) for finding in lacking] == [(subject, Verdict.WARNING)]
    assert lacking[0].cure
    assert all(finding.verdict is Verdict.OK for finding in kernel(ALL))
