"""The testnet of the README, from outside: it becomes whole, delivers, survives a kill, and stays small and shut."""

from __future__ import annotations

import time

import pytest

from tests.docker.testnet import Testnet, docker, until

pytestmark = pytest.mark.timeout(600)

BROADCASTS = 20
RETURN_SECONDS = 10.0
RSS_BYTES_MAX = 60 << 20
NODE_CAPABILITIES = {"CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"}
EVERY_SERVICE = ("seed", "node-1", "node-4", "prometheus", "grafana")


def test_every_node_has_every_other_as_a_verified_peer_by_name(testnet: Testnet) -> None:
    for name in testnet.names:
        peers = testnet.get(name, "peers")["peers"]
        assert sorted(peer["name"] for peer in peers if peer["state"] == "up") == sorted({*testnet.names} - {name})


def test_the_command_line_inside_a_container_finds_its_node(testnet: Testnet) -> None:
    done = testnet.try_compose("exec", "-T", "--index", "2", "node", "positron", "peers", "--json")
    assert done.returncode == 0, done.stderr
    assert '"seed"' in done.stdout


def test_a_broadcast_reaches_every_other_node_exactly_once(testnet: Testnet) -> None:
    before = testnet.delivered()
    for number in range(BROADCASTS):
        testnet.broadcast(testnet.names[number % len(testnet.names)], {"number": number})
    own = BROADCASTS // len(testnet.names)
    expected = {name: count + BROADCASTS - own for name, count in before.items()}
    until(lambda: testnet.delivered() == expected, 10, "every broadcast is everywhere")
    # A second copy would come with the exchanges that follow; one more broadcast makes sure that they happened.
    testnet.broadcast("seed", {"last": True})
    final = {name: count + (name != "seed") for name, count in expected.items()}
    until(lambda: testnet.delivered() == final, 10, "the last broadcast is everywhere")


def test_a_killed_node_comes_back_as_itself(testnet: Testnet) -> None:
    identity = testnet.get("node-2", "stats")["node_id"]
    docker("kill", testnet.container("node-2"))
    docker("start", testnet.container("node-2"))
    testnet.forget()
    testnet.wait_until_whole(within=RETURN_SECONDS)
    assert testnet.get("node-2", "stats")["node_id"] == identity


def test_a_node_stays_small(testnet: Testnet) -> None:
    for name in testnet.names:
        words = testnet.execute(name, "grep", "VmRSS", "/proc/1/status").stdout.split()
        assert int(words[1]) * 1024 < RSS_BYTES_MAX, f"{name}: {words}"


def test_the_node_has_no_privilege_and_cannot_get_one(testnet: Testnet) -> None:
    for name in testnet.names:
        status = testnet.execute(name, "cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        capabilities = {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
        assert capabilities == {"0000000000000000"}
        assert fields["NoNewPrivs"] == "1"
        assert fields["Uid"].split() == ["10001"] * 4
        assert fields["Gid"].split() == ["10001"] * 4


def test_the_user_of_the_node_cannot_touch_the_network(testnet: Testnet) -> None:
    done = testnet.execute("node-1", "tc", "qdisc", "add", "dev", "lo", "root", "pfifo")
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr


def test_the_api_is_out_of_reach_of_the_peers(testnet: Testnet) -> None:
    address = testnet.inspect("node-1")["NetworkSettings"]["Networks"][f"{testnet.project}_p2p"]["IPAddress"]
    ask = f"import urllib.request as r; r.urlopen('http://{address}:9464/healthz', timeout=3)"
    done = testnet.execute("node-2", "python", "-c", ask)
    assert done.returncode != 0
    assert "Connection refused" in done.stderr


@pytest.mark.parametrize("name", EVERY_SERVICE)
def test_containers_are_shut(testnet: Testnet, name: str) -> None:
    host = testnet.inspect(name)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    allowed = NODE_CAPABILITIES if name.startswith(("seed", "node")) else set()
    assert {f"CAP_{word.removeprefix('CAP_')}" for word in host["CapAdd"] or ()} == allowed
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert 0 < host["PidsLimit"] <= 128
    assert host["LogConfig"]["Config"]["max-size"]
    assert host["NetworkMode"].startswith(testnet.project)
    assert not host["PidMode"]


@pytest.mark.parametrize("name", EVERY_SERVICE)
def test_nothing_of_the_host_is_writable_from_a_container(testnet: Testnet, name: str) -> None:
    for mount in testnet.inspect(name)["Mounts"]:
        assert mount["Type"] == "volume" or not mount["RW"], mount
        assert not mount["Source"].endswith(".sock")


def test_ports_are_published_on_the_loopback_address_alone(testnet: Testnet) -> None:
    published = {}
    for name in (*testnet.names, "prometheus", "grafana"):
        for port, bindings in testnet.inspect(name)["NetworkSettings"]["Ports"].items():
            for binding in bindings or ():
                assert binding["HostIp"] == "127.0.0.1"
                published[name] = port
    assert published == {"seed": "9464/tcp", "prometheus": "9090/tcp", "grafana": "3000/tcp"}


def test_the_image_holds_nothing_that_builds_installs_or_raises_privileges(images: dict[str, str]) -> None:
    script = (
        "command -v pip gcc cc make && exit 1; python -m pip --version 2>/dev/null && exit 1;"
        "find / -xdev -type f -perm /6000 2>/dev/null | grep . && exit 1; exit 0"
    )
    image = images["POSITRON_IMAGE"]
    done = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", script)
    assert done == ""


def test_key_and_state_belong_to_the_node_alone(testnet: Testnet) -> None:
    listed = testnet.execute("node-1", "stat", "-c", "%a %u %n", "/var/lib/positron").stdout.split()
    assert listed[:2] == ["700", "10001"]
    files = testnet.execute("node-1", "find", "/var/lib/positron", "-type", "f", "-printf", "%m %u\n").stdout
    assert set(files.splitlines()) == {"600 positron"}


def test_logs_have_no_traceback_and_no_warning(testnet: Testnet) -> None:
    for name in testnet.names:
        assert "Traceback" not in testnet.logs(name)
        assert "ERROR" not in testnet.logs(name)


def test_down_is_quick_and_every_node_ends_by_itself(testnet: Testnet) -> None:
    containers = {testnet.container(name): name for name in testnet.names}
    began = time.time()
    try:
        testnet.compose("down", "--volumes")
        ended = time.time()
        window = ["--since", f"{began:.3f}", "--until", f"{time.time():.3f}"]
        template = "{{.Actor.ID}} {{.Actor.Attributes.exitCode}}"
        died = docker("events", *window, "--filter", "event=die", "--format", template).split()
    finally:
        testnet.forget()
        testnet.up()
        testnet.wait_until_whole(within=30)
    codes = {containers[one]: code for one, code in zip(died[::2], died[1::2], strict=True) if one in containers}
    assert codes == dict.fromkeys(testnet.names, "0")
    assert ended - began < 10.0
