from __future__ import annotations

import fcntl
import json
import threading

import pytest

from tests.entrypoint.conftest import Container


def netem(loss: float = 0, delay: float = 0, jitter: float = 0, rate: float = 0) -> dict[str, object]:
    """Options as `tc -j` shows them."""
    return {
        "limit": 1000,
        "delay": {"delay": delay, "jitter": jitter, "correlation": 0},
        "loss-random": {"loss": loss, "correlation": 0},
        "rate": {"rate": rate, "packetoverhead": 0},
    }


def limit_of(container: Container) -> int:
    words = container.calls[0].split()
    return int(words[words.index("limit") + 1])


def test_values_reach_the_kernel_in_its_own_units_on_the_interface_without_a_default_route(
    container: Container,
) -> None:
    container.has(netem(0.05, 0.02, 0.005, 1_250_000), after_next_change=True)
    done = container.run("impair", "apply", LOSS="5%", DELAY="20ms", JITTER="5ms", RATE="10mbit")
    assert done.returncode == 0, done.stderr
    assert container.calls == [
        "tc qdisc replace dev eth1 root netem limit 1000 delay 20000us 5000us loss 5% rate 10000000bit",
        "ip link set dev eth1 gso_max_segs 1",
    ]


def test_a_node_whose_losses_will_be_nfts_is_told_so_from_the_start(container: Container) -> None:
    done = container.run("impair", "apply", BACKEND="nft")
    assert done.returncode == 0, done.stderr
    assert json.loads(container.impairment_file.read_text()) == [{"backend": "nft", "dir": "ingress"}]
    container.run("impair", "apply", BACKEND="wire")
    assert not container.impairment_file.exists()


def test_what_the_kernel_has_is_published_for_the_node(container: Container) -> None:
    container.has(netem(0.05, 0.02, 0.004999, 1_250_000), after_next_change=True)
    container.run("impair", "apply", LOSS="5%", DELAY="20ms", JITTER="5ms", RATE="10mbit")
    assert json.loads(container.impairment_file.read_text()) == {
        "backend": "netem",
        "loss_ratio": 0.05,
        "delay_seconds": 0.02,
        "jitter_seconds": 0.004999,
        "rate_bytes_per_second": 1_250_000,
        "asked_loss_ratio": 0.05,
        "asked_delay_seconds": 0.02,
    }
    assert container.impairment_file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"LOSS": "0.5%"}, "loss 0.5%"),
        ({"LOSS": "100%"}, "loss 100%"),
        ({"DELAY": "1.5s"}, "delay 1500000us 0us"),
        ({"DELAY": "250us"}, "delay 250us 0us"),
        ({"DELAY": "20MS"}, "delay 20000us 0us"),
        ({"RATE": "1.5gbit"}, "rate 1500000000bit"),
        ({"RATE": "512kbit"}, "rate 512000bit"),
    ],
)
def test_each_unit_is_understood(container: Container, values: dict[str, str], words: str) -> None:
    container.run("impair", "apply", **values)
    assert words in container.calls[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOSS", "5"),
        ("LOSS", "101%"),
        ("LOSS", "-1%"),
        ("LOSS", "five%"),
        ("LOSS", "5% 25%"),
        ("LOSS", "1e1%"),
        ("DELAY", "20"),
        ("DELAY", "61s"),
        ("DELAY", "20ms;reboot"),
        ("RATE", "10"),
        ("RATE", "1kbit"),
        ("RATE", "10mbps"),
    ],
)
def test_an_impossible_value_is_one_line_that_says_what_is_allowed(container: Container, name: str, value: str) -> None:
    done = container.run("impair", "apply", **{name: value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"impair: {name}={value}: allowed is ")
    assert done.stderr.count("\n") == 1
    assert container.calls == []


def test_every_impossible_value_is_reported_at_once(container: Container) -> None:
    done = container.run("impair", "apply", LOSS="5", DELAY="x", RATE="y")
    assert [line.split("=")[0] for line in done.stderr.splitlines()] == [
        "impair: LOSS",
        "impair: DELAY",
        "impair: RATE",
    ]


@pytest.mark.parametrize("delay", ["10ms", ""])
def test_jitter_beyond_the_delay_is_refused(container: Container, delay: str) -> None:
    done = container.run("impair", "apply", DELAY=delay, JITTER="11ms")
    assert done.returncode == 2
    assert "JITTER=11ms: allowed is at most DELAY" in done.stderr


@pytest.mark.parametrize("value", ["", "0", "0%"])
def test_nothing_asked_leaves_a_clean_network_alone(container: Container, value: str) -> None:
    done = container.run("impair", "apply", LOSS=value)
    assert (done.returncode, done.stdout) == (0, "impairment on eth1: none\n")
    assert container.calls == []
    assert not container.impairment_file.exists()


def test_the_queue_holds_twice_what_is_under_way(container: Container) -> None:
    container.run("impair", "apply", DELAY="500ms", JITTER="100ms", RATE="100mbit")
    # 100 Mbit/s for 0.5 + 3 * 0.1 s are 10 MB, 7143 packets of 1400 bytes
    assert limit_of(container) == pytest.approx(2 * 7143, abs=2)


def test_without_a_rate_the_queue_is_sized_for_a_gigabit(container: Container) -> None:
    container.run("impair", "apply", DELAY="100ms")
    assert limit_of(container) == pytest.approx(2 * 1e9 * 0.1 / 8 / 1400, abs=2)


def test_the_queue_is_never_below_a_thousand_nor_above_a_million_packets(container: Container) -> None:
    container.run("impair", "apply", DELAY="1ms", RATE="8kbit")
    assert limit_of(container) == 1000
    container.write("calls", "")
    container.run("impair", "apply", DELAY="60s", RATE="100gbit")
    assert limit_of(container) == 1_000_000


def test_a_kernel_without_netem_is_one_line_that_says_how_to_go_on(container: Container) -> None:
    container.refuses("Error: Specified qdisc kind is unknown.")
    done = container.run("impair", "apply", LOSS="10%", DELAY="20ms")
    assert done.returncode == 3
    assert done.stderr == (
        "impair: this kernel has no sch_netem, so LOSS=10% DELAY=20ms JITTER=0 RATE=0 cannot be applied; load it on "
        "the host (modprobe sch_netem), or start without LOSS, DELAY, JITTER and RATE\n"
    )
    assert not container.impairment_file.exists()


def test_a_refusal_of_the_kernel_is_passed_on_in_one_line(container: Container) -> None:
    container.refuses("RTNETLINK answers:\nOperation not permitted")
    done = container.run("impair", "apply", LOSS="10%")
    assert done.returncode == 1
    assert done.stderr.endswith("cannot be applied to eth1: RTNETLINK answers: Operation not permitted\n")


def test_an_impairment_that_did_not_take_is_an_error(container: Container) -> None:
    done = container.run("impair", "apply", LOSS="10%")
    assert done.returncode == 1
    assert "no netem is there" in done.stderr


def test_an_impairment_that_took_otherwise_than_asked_is_an_error(container: Container) -> None:
    container.has(netem(loss=0.1, rate=1_250_000), after_next_change=True)
    done = container.run("impair", "apply", LOSS="10%")
    assert done.returncode == 1
    assert "the kernel has: 0.1 0 0 1250000" in done.stderr
    assert not container.impairment_file.exists()


def test_clearing_removes_the_impairment_its_record_and_the_limit_on_segments(container: Container) -> None:
    container.has(netem(loss=0.1))
    container.has(None, after_next_change=True)
    container.impairment_file.write_text("{}")
    done = container.run("impair", "clear")
    assert (done.returncode, done.stdout) == (0, "impairment on eth1: none\n")
    assert container.calls == ["tc qdisc delete dev eth1 root", "ip link set dev eth1 gso_max_segs 65535"]
    assert not container.impairment_file.exists()


def test_all_values_at_zero_clear_what_was_there(container: Container) -> None:
    container.has(netem(loss=0.1))
    container.run("impair", "apply", LOSS="0%", DELAY="0ms")
    assert container.calls[0] == "tc qdisc delete dev eth1 root"


def test_a_single_network_is_the_one_to_impair_whatever_its_routes(container: Container) -> None:
    container.addresses("2: eth0 inet 10.2.0.3/16")
    assert container.run("impair", "interface").stdout == "eth0\n"


def test_the_order_and_the_names_of_interfaces_mean_nothing(container: Container) -> None:
    container.addresses("2: enp0@if7 inet 10.1.0.4/24", "3: eth0@if9 inet 10.2.0.3/16")
    assert container.run("impair", "interface").stdout == "enp0\n"


def test_an_interface_can_be_named(container: Container) -> None:
    assert container.run("impair", "interface", P2P_INTERFACE="eth0").stdout == "eth0\n"


def test_a_named_interface_must_be_there(container: Container) -> None:
    done = container.run("impair", "show", P2P_INTERFACE="eth7")
    assert done.returncode == 2
    assert done.stderr == "impair: P2P_INTERFACE=eth7 is not an interface with an address here; there are: eth0 eth1\n"


def test_several_candidates_are_an_error_and_not_a_guess(container: Container) -> None:
    container.write("routes", "")
    done = container.run("impair", "interface")
    assert done.returncode == 2
    assert "(eth0 eth1); set P2P_INTERFACE" in done.stderr


def test_values_on_the_command_line_replace_those_of_the_environment(container: Container) -> None:
    container.has(netem(loss=0.2, delay=0.05), after_next_change=True)
    done = container.run("impair", "set", "loss", "20%", "delay", "50ms", LOSS="1%", RATE="10mbit")
    assert done.returncode == 0, done.stderr
    assert container.calls[0].endswith("delay 50000us 0us loss 20% rate 0bit")


@pytest.mark.parametrize("words", [["loss"], ["los", "5%"], ["loss", "5%", "delay"]])
def test_a_command_line_that_cannot_be_understood_is_a_usage_error(container: Container, words: list[str]) -> None:
    done = container.run("impair", "set", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("impair: set: ")
    assert container.calls == []


DROPS = "10.1.0.5 node-1 1000000 8000\n10.1.0.6 node-2 200000 -\n10.1.0.5 node-1 200000 1500\n"
LISTED = """table netdev positron {
    set drop_1000000_1 {
        type ipv4_addr
        flags timeout
        elements = { 10.1.0.5 timeout 8s expires 7s996ms }
    }
    set drop_200000_1 {
        type ipv4_addr
        flags timeout
        elements = { 10.1.0.5 timeout 1s500ms expires 1s496ms,
        10.1.0.6 }
    }
    chain ingress {
        type filter hook ingress device "eth1" priority filter; policy accept;
        ip saddr @drop_1000000_1 drop
        ip saddr @drop_200000_1 numgen random mod 1000000 < 200000 drop
    }
}
"""


def test_drops_replace_each_other_in_one_step_and_end_in_the_kernel(container: Container) -> None:
    container.write("nft.text", LISTED)
    done = container.run("impair", "drops", given=DROPS)
    assert (done.returncode, done.stderr) == (0, "")
    assert container.calls == [
        "add table netdev positron; delete table netdev positron; table netdev positron {",
        "set drop_1000000_1 { type ipv4_addr; flags timeout; elements = { 10.1.0.5 timeout 8000ms }; }",
        "set drop_200000_1 { type ipv4_addr; flags timeout; elements = { 10.1.0.6, 10.1.0.5 timeout 1500ms }; }",
        'chain ingress { type filter hook ingress device "eth1" priority 0;',
        "ip saddr @drop_1000000_1 drop;",
        "ip saddr @drop_200000_1 numgen random mod 1000000 < 200000 drop;",
        "}; }",
        "ip link set dev eth1 gso_max_segs 1",
    ]
    told = {one["target"]: one for one in json.loads(container.impairment_file.read_text())}
    assert {one["backend"] for one in told.values()} == {"nft"}
    assert {one["dir"] for one in told.values()} == {"ingress"}
    assert [told[name]["loss_ratio"] for name in ("node-1", "node-2")] == [1.0, 0.2]
    assert [told[name]["asked_loss_ratio"] for name in ("node-1", "node-2")] == [1.0, 0.2]


def test_no_drops_are_still_an_impairment_that_the_node_has_to_know_of(container: Container) -> None:
    container.write("nft.text", "table netdev positron {\n\tchain ingress {\n\t}\n}\n")
    assert container.run("impair", "drops").returncode == 0
    assert json.loads(container.impairment_file.read_text()) == [{"backend": "nft", "dir": "ingress"}]


def test_drops_that_the_kernel_does_not_have_are_an_error(container: Container) -> None:
    container.write("nft.text", LISTED.replace("< 200000", "< 2000"))
    done = container.run("impair", "drops", given=DROPS)
    assert done.returncode == 1
    assert "the kernel has '10.1.0.5 1000000 10.1.0.5 2000 10.1.0.6 2000'" in done.stderr
    assert not container.impairment_file.exists()


def test_without_nftables_drops_are_refused_with_a_status_of_their_own(container: Container) -> None:
    container.refuses("netlink: Error: cache initialization failed: Operation not supported")
    done = container.run("impair", "drops", given=DROPS)
    assert done.returncode == 3
    assert done.stderr.startswith("impair: this kernel cannot drop at ingress: ")


@pytest.mark.parametrize(
    "line",
    ["10.1.0.5 node-1 0 8000", "10.1.0.5 node-1 1000001 -", "node-1 10.1.0.5 10 -", "10.1.0.5 a 10", "1.2 a; 1 -"],
)
def test_a_drop_that_makes_no_sense_changes_nothing(container: Container, line: str) -> None:
    done = container.run("impair", "drops", given=f"{line}\n")
    assert done.returncode == 2
    assert container.calls == []


TREE = "qdisc htb 504e: root refcnt 2 r2q 10 default 0\n"


def test_a_table_gives_each_peer_a_class_and_changes_what_is_there_in_place(container: Container) -> None:
    container.write("qdisc.text", TREE)
    container.write("classes", "class htb 504e:5 root leaf 8002: prio 0 rate 32Gbit ceil 32Gbit\n")
    done = container.run("impair", "table", given="10.1.0.5 limit 1000 delay 20ms\n10.1.1.11 limit 9 loss 5%\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert container.calls == [
        "ip link set dev eth1 gso_max_segs 1",
        "tc qdisc replace dev eth1 parent 504e:5 netem limit 1000 delay 20ms",
        "tc class add dev eth1 parent 504e: classid 504e:10b htb rate 32gbit quantum 60000",
        "tc qdisc add dev eth1 parent 504e:10b netem limit 9 loss 5%",
        "tc filter add dev eth1 parent 504e: protocol ip prio 1 handle 800::10b u32 "
        "match ip dst 10.1.1.11/32 flowid 504e:10b",
    ]


def test_a_table_begins_with_a_tree_past_which_everything_else_goes(container: Container) -> None:
    assert container.run("impair", "table").returncode == 0
    assert container.calls[0] == "tc qdisc replace dev eth1 root handle 504e: htb default 0 direct_qlen 10000"


def test_a_table_with_a_peer_that_is_no_address_changes_no_link(container: Container) -> None:
    container.write("qdisc.text", TREE)
    done = container.run("impair", "table", given="10.1.0.5 delay 20ms\nnode-1 delay 20ms\n")
    assert done.returncode == 2
    assert done.stderr == "impair: table: 'node-1' is no IPv4 address\n"
    assert not [call for call in container.calls if call.startswith("tc")]


def test_clearing_removes_the_tree_of_the_table_though_it_has_no_netem(container: Container) -> None:
    container.write("qdisc.text", TREE)
    container.run("impair", "clear")
    assert container.calls[0] == "tc qdisc delete dev eth1 root"


def test_what_was_asked_is_told_beside_what_the_kernel_has(container: Container) -> None:
    container.has(netem(loss=0.0999999, delay=0.02), after_next_change=True)
    assert container.run("impair", "apply", LOSS="10%", DELAY="20ms").returncode == 0
    told = json.loads(container.impairment_file.read_text())
    assert (told["loss_ratio"], told["asked_loss_ratio"]) == (0.0999999, 0.1)
    assert (told["delay_seconds"], told["asked_delay_seconds"]) == (0.02, 0.02)


def test_a_refresh_tells_what_somebody_else_has_changed_since(container: Container) -> None:
    container.has(netem(loss=0.05, delay=0.02), after_next_change=True)
    assert container.run("impair", "apply", LOSS="5%", DELAY="20ms").returncode == 0
    before = container.impairment_file.read_text()
    assert container.run("impair", "refresh").returncode == 0
    assert container.impairment_file.read_text() == before
    for found, loss, delay in ((netem(loss=0.5, delay=0.02), 0.5, 0.02), (None, 0, 0)):
        container.has(found)
        assert container.run("impair", "refresh").returncode == 0
        told = json.loads(container.impairment_file.read_text())
        assert (told["loss_ratio"], told["delay_seconds"]) == (loss, delay)
        assert (told["asked_loss_ratio"], told["asked_delay_seconds"]) == (0.05, 0.02)
    assert len([call for call in container.calls if call.startswith("tc")]) == 1


@pytest.mark.parametrize("verb", ["table", "drops"])
def test_a_refresh_leaves_alone_what_a_controller_looks_after(container: Container, verb: str) -> None:
    container.write("nft.text", "")
    container.run("impair", verb)
    before = container.impairment_file.read_text()
    assert container.run("impair", "refresh").returncode == 0
    assert container.impairment_file.read_text() == before


def test_a_refresh_without_an_impairment_does_nothing(container: Container) -> None:
    done = container.run("impair", "refresh")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not container.impairment_file.exists()


def test_two_at_a_time_take_turns_and_the_node_cannot_hold_them_up(container: Container) -> None:
    container.has(netem(loss=0.05), after_next_change=True)
    assert container.run("impair", "apply", LOSS="5%").returncode == 0
    held = container.directory / "impairment.json.lock"
    assert held.stat().st_mode & 0o777 == 0o600
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threading.Thread(target=container.run, args=("impair", "refresh"))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()


def test_an_unknown_verb_is_a_usage_error(container: Container) -> None:
    assert container.run("impair", "aply").returncode == 2
    assert container.run("impair").returncode == 2
