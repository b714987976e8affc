from __future__ import annotations

import pytest

from node.config import NetworkConfig
from node.errors import ConfigError
from node.peers.hello import is_reachable_host


def test_defaults_are_the_documented_ones() -> None:
    config = NetworkConfig()

    assert (config.host, config.port, config.tcp_port) == ("0.0.0.0", 8888, 8889)
    assert (config.mtu, config.mss, config.initial_window, config.max_connections) == (1400, 1400, 65535, 1000)
    assert (config.min_rto, config.max_rto, config.max_retries) == (1.0, 60.0, 5)
    assert (config.enable_udp, config.enable_tcp) == (True, True)
    assert config.http_url == "http://127.0.0.1:9464"


def test_tcp_port_follows_the_port_unless_it_is_given() -> None:
    assert NetworkConfig(port=9000).tcp_port == 9001
    assert NetworkConfig(port=9000, tcp_port=9500).tcp_port == 9500
    assert NetworkConfig(port=9000, tcp_port=0).tcp_port == 0
    assert NetworkConfig(port=0).tcp_port == 0


def test_two_nodes_that_differ_in_port_alone_share_nothing() -> None:
    first, second = NetworkConfig(port=9000), NetworkConfig(port=9001)

    tcp_ports = {first.tcp_port, second.tcp_port, first.metrics_port, second.metrics_port}
    assert len(tcp_ports) == 4
    assert first.data_dir != second.data_dir


@pytest.mark.parametrize("port", [1, 8888, 64959, 64960, 65534])
def test_every_port_gives_a_metrics_port(port: int) -> None:
    assert 1 <= NetworkConfig(port=port).metrics_port <= 65535


def test_a_node_without_a_fixed_port_keeps_its_key_in_memory() -> None:
    assert NetworkConfig(port=0).data_dir == ""


def test_data_directory_follows_the_base_directory_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert NetworkConfig(port=9000).data_dir == "/var/state/positron/9000"

    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert NetworkConfig(port=9000).data_dir == "/home/me/.local/state/positron/9000"


def test_the_testnet_profile_lowers_the_least_retransmission_timeout() -> None:
    assert NetworkConfig(profile="testnet").min_rto == 0.025
    assert NetworkConfig(profile="testnet", min_rto=0.2).min_rto == 0.2


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        NetworkConfig(port="9000", mtu=100, heartbeat_interval=-1.0)  # type: ignore[arg-type]  # the mistake tested

    assert caught.value.problems == (
        "port = '9000': allowed is a whole number from 0 to 65535",
        "mtu = 100: allowed is a whole number from 1200 to 65507",
        "heartbeat_interval = -1.0: allowed is a number of seconds from 0.1 to 60",
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"enable_udp": False, "enable_tcp": False}, "enable_udp"),
        ({"port": 65535}, "port"),
        ({"min_rto": 2.0, "max_rto": 1.0}, "min_rto"),
        ({"initial_window": 2000}, "initial_window"),
        ({"connection_timeout": 1.0, "heartbeat_interval": 1.0}, "connection_timeout"),
        ({"connection_timeout": 9.0, "keep_alive": 9.0}, "keep_alive"),
        ({"keep_alive": 0.001}, "keep_alive"),
        ({"peers_max": 8, "outbound_max": 9}, "outbound_max"),
        ({"peers_max": 8, "inbound_max": 8}, "inbound_max"),
        ({"metrics_port": 9001, "port": 9000}, "metrics_port"),
    ],
)
def test_values_that_are_impossible_together_are_refused(values: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        NetworkConfig(**values)  # type: ignore[arg-type]  # parametrised by name

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{field} = ")


def test_the_default_sizes_fit_the_transport() -> None:
    NetworkConfig(mtu=65507, mss=65507, initial_window=2 * 65507)
    with pytest.raises(ConfigError):
        NetworkConfig(mtu=65507, mss=65507)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        NetworkConfig(name="x" * 10_000)

    assert len(caught.value.problems[0]) < 250


def test_a_name_cannot_put_a_second_line_into_a_message() -> None:
    with pytest.raises(ConfigError) as caught:
        NetworkConfig(name="a\nERROR forged")

    assert "\n" not in caught.value.problems[0]


def test_the_url_of_a_node_that_listens_everywhere_is_a_loopback_one() -> None:
    assert NetworkConfig(metrics_host="0.0.0.0").http_url == "http://127.0.0.1:9464"
    assert NetworkConfig(metrics_host="::").http_url == "http://[::1]:9464"


def test_bootstrap_nodes_are_read_from_text_and_from_pairs() -> None:
    config = NetworkConfig(bootstrap_nodes=[("127.0.0.1", 9000), "[::1]:9001"])  # type: ignore[list-item]  # pairs too

    assert config.bootstrap_nodes == ("127.0.0.1:9000", "[::1]:9001")
    assert config.bootstrap_addresses == (("127.0.0.1", 9000), ("::1", 9001))


@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1", "2001:db8::1", "::1"])
def test_what_peers_are_told_is_an_address_that_they_accept(host: str) -> None:
    assert NetworkConfig(advertise_host=host).advertise_host == host
    assert is_reachable_host(host)


@pytest.mark.parametrize("host", ["node.example.org", "0.0.0.0", "224.0.0.1", "::", "10.0.0", "255.255.255.255"])
def test_what_peers_would_refuse_is_never_told(host: str) -> None:
    assert not is_reachable_host(host)
    with pytest.raises(ConfigError, match="allowed is an IP address of one host"):
        NetworkConfig(advertise_host=host)


def test_half_of_all_links_are_for_those_that_the_node_chose() -> None:
    config = NetworkConfig(peers_max=9)
    assert (config.outbound_max, config.inbound_max) == (4, 5)
