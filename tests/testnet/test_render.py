from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml

from node.testnet.compose import COMPOSE_FILE
from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.render import NODE_LABEL, RESERVED, Rendering, addresses_for, render
from node.testnet.scenario.topology import Topology, TopologyError

BASE = Path(__file__).parent.parent.parent / COMPOSE_FILE
P2P, MGMT = ipaddress.IPv4Network("10.70.0.0/24"), ipaddress.IPv4Network("10.70.1.0/24")


def rendered(nodes: int = 3, groups: dict[str, int] | None = None, **wanted: Any) -> dict[str, Any]:
    topology = Topology(nodes=nodes, groups=groups or {})
    text = render(BASE, Rendering(topology=topology, addresses=addresses_for(topology, P2P, MGMT), **wanted))
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def test_every_node_is_a_service_with_an_address_of_its_own_on_both_networks() -> None:
    document = rendered()
    nodes = {name: one for name, one in document["services"].items() if "labels" in one}
    assert list(nodes) == ["seed", "node-1", "node-2"]
    for index, (name, one) in enumerate(nodes.items()):
        assert one["networks"]["p2p"]["ipv4_address"] == str(P2P[RESERVED + index])
        assert one["networks"]["mgmt"]["ipv4_address"] == str(MGMT[RESERVED + index])
        assert one["labels"][NODE_LABEL] == one["environment"]["POSITRON_NAME"] == name
    assert document["networks"]["p2p"] == {"internal": True, "ipam": {"config": [{"subnet": str(P2P)}]}}


def test_a_node_keeps_the_limits_of_the_base_file_and_gives_up_ports_and_replicas() -> None:
    base = yaml.safe_load(BASE.read_text())["services"]
    document = rendered()["services"]
    for name, of in (("seed", "seed"), ("node-2", "node")):
        for key in ("cap_drop", "cap_add", "security_opt", "read_only", "tmpfs", "pids_limit", "ulimits"):
            assert document[name][key] == base[of][key]
        assert not {"ports", "deploy"} & set(document[name])


def test_only_the_seed_is_one_and_the_others_know_it_by_name() -> None:
    services = rendered()["services"]
    assert services["seed"]["environment"]["POSITRON_IS_SEED"] == "true"
    assert "POSITRON_BOOTSTRAP_NODES" not in services["seed"]["environment"]
    assert services["node-1"]["environment"]["POSITRON_BOOTSTRAP_NODES"] == "seed.p2p:8888"
    assert services["seed"]["networks"]["p2p"]["aliases"] == ["seed.p2p"]


def test_looks_at_the_health_of_nodes_alone_may_be_fewer() -> None:
    services = rendered(health_interval="1h")["services"]
    assert [services[name]["healthcheck"]["interval"] for name in ("seed", "node-2")] == ["1h", "1h"]
    assert services["prometheus"]["healthcheck"]["interval"] == "${HEALTH_INTERVAL:-5s}"


def test_groups_may_run_other_images_and_one_node_yet_another() -> None:
    services = rendered(4, {"old": 2}, images={"old": "node:1", "node-1": "node:2"})["services"]
    base = services["node-2"]["image"]
    assert [services[name]["image"] for name in ("seed", "node-1", "node-3")] == ["node:1", "node:2", base]
    assert "build" not in services["seed"]
    assert services["node-1"]["labels"]["org.positron.testnet.group"] == "old"


def test_paths_do_not_depend_on_where_the_file_is() -> None:
    services = rendered()["services"]
    assert Path(services["seed"]["build"]["context"]).resolve() == BASE.parent
    assert services["prometheus"]["volumes"][0].startswith(str(BASE.parent))


def test_an_image_for_nobody_is_refused() -> None:
    with pytest.raises(TopologyError, match="no node or group 'new'"):
        rendered(images={"new": "x"})


def test_networks_that_are_too_small_are_refused() -> None:
    small = ipaddress.IPv4Network("10.70.0.0/28")
    with pytest.raises(TestnetMisused, match=r"6 nodes: 10\.70\.0\.0/28 and .* have room for 5"):
        addresses_for(Topology(nodes=6), small, MGMT)


@pytest.mark.parametrize("text", ["", "services: {}", "[1", "services: {seed: {}}"])
def test_a_file_of_something_else_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.yml"
    path.write_text(text)
    topology = Topology(nodes=1)
    with pytest.raises(TestnetFailed, match=r"other\.yml is not a compose file with the services seed and node"):
        render(path, Rendering(topology=topology, addresses=addresses_for(topology, P2P, MGMT)))
