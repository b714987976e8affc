from __future__ import annotations

import pytest

from node.cli.doctor_network import mtu, reachability, skew
from node.cli.finding import Finding, Verdict
from node.config import NetworkConfig
from node.errors import Code, ConnectionFailed, SendTimeout
from node.types import Address

HERE: Address = ("192.0.2.1", 9000)


def results(monkeypatch: pytest.MonkeyPatch, udp: Exception | None, tcp: Exception | None) -> list[Finding]:
    async def reach(carrier: str, address: Address, *, network_id: str, seconds: float) -> tuple[Address, float]:
        error = udp if carrier == "udp" else tcp
        if error is not None:
            raise error
        return address, 0.01

    monkeypatch.setattr("node.cli.doctor_network.reach", reach)
    return reachability(NetworkConfig(), [HERE], [("192.0.2.1", 9001)], 1.0)[0]


def test_udp_and_tcp_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    udp, tcp = results(monkeypatch, ConnectionFailed(Code.HANDSHAKE_TIMEOUT, "no answer"), None)
    assert (udp.subject, udp.verdict) == ("UDP to 192.0.2.1:9000", Verdict.FAILED)
    assert "firewall and NAT" in udp.cure
    assert (tcp.subject, tcp.verdict) == ("TCP to 192.0.2.1:9001", Verdict.OK)


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (ConnectionFailed(Code.HANDSHAKE_FAILED, "cannot look up 'x': unknown"), "DNS"),
        (ConnectionFailed(Code.HANDSHAKE_FAILED, "network_mismatch"), "--network-id"),
        (ConnectionFailed(Code.HANDSHAKE_FAILED, "version_mismatch"), "update the older"),
        (ConnectionFailed(Code.CONNECTION_LIMIT, "full"), "--max-connections"),
        (SendTimeout("late"), "firewall"),
    ],
)
def test_each_failure_has_its_cure(error: Exception, cure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    udp, tcp = results(monkeypatch, error, error)
    assert (udp.verdict, tcp.verdict) == (Verdict.FAILED, Verdict.FAILED)
    assert cure in udp.cure
    assert cure in tcp.cure


def test_without_an_address_nothing_is_tried() -> None:
    findings, found = reachability(NetworkConfig(), [], [], 1.0)
    assert ([finding.verdict for finding in findings], found) == ([Verdict.SKIPPED], [])


@pytest.mark.parametrize(("size", "verdict"), [(1500, Verdict.OK), (1428, Verdict.OK), (1427, Verdict.WARNING)])
def test_a_route_with_too_little_room_is_told_with_the_mtu_that_fits(
    size: int, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.cli.doctor_network.path_mtu", lambda address: size)
    (found,) = mtu(NetworkConfig(mtu=1400), [HERE, HERE])
    assert found.verdict is verdict
    assert found.cure == ("" if verdict is Verdict.OK else f"start the node with --mtu {size - 28}")


@pytest.mark.parametrize(("host", "least"), [("192.0.2.1", 1228), ("2001:db8::1", 1248)])
def test_no_mtu_cures_a_route_that_carries_no_handshake(host: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = least
    monkeypatch.setattr("node.cli.doctor_network.path_mtu", lambda address: size)
    (found,) = mtu(NetworkConfig(mtu=1400), [(host, 9000)])
    assert found.cure == "start the node with --mtu 1200"
    size -= 1
    (found,) = mtu(NetworkConfig(mtu=1400), [(host, 9000)])
    assert found.verdict is Verdict.FAILED
    assert found.cure.startswith(f"let the route carry {least} bytes")


def test_an_ipv6_route_needs_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.doctor_network.path_mtu", lambda address: 1430)
    (found,) = mtu(NetworkConfig(mtu=1400), [("2001:db8::1", 9000)])
    assert found.cure == "start the node with --mtu 1382"


def test_peers_whose_clocks_are_so_wrong_that_others_refuse_them_are_named() -> None:
    peers = [{"name": "a", "clock_skew": 0.1}, {"name": "late", "clock_skew": -900.0}, {"name": "c", "clock_skew": 0.0}]
    found = skew(peers)
    assert found.verdict is Verdict.WARNING
    assert found.detail.endswith("refuse them: late")


def test_peers_clocks_are_compared_by_the_middle_one() -> None:
    assert skew([]).verdict is Verdict.SKIPPED
    assert skew([{"clock_skew": None}, {}, 7]).verdict is Verdict.SKIPPED
    assert skew([{"clock_skew": 0.1}, {"clock_skew": 59.0}, {"clock_skew": -0.1}]).verdict is Verdict.OK
    wrong = skew([{"clock_skew": 40.0}, {"clock_skew": 41.0}, {"clock_skew": 0.0}])
    assert wrong.verdict is Verdict.FAILED
    assert "behind theirs" in wrong.detail
