from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from node.metrics.collector import NodeCollector
from node.metrics.text import render
from node.types import MILLISECOND
from tests.metrics.samples import link, node_snapshot, observation

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> tuple[dict[str, tuple[str, str]], Series]:
    """Type and help of each family, and the value of each series."""
    families = list(text_string_to_metric_families(text))
    series = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
    return {family.name: (family.type, family.documentation) for family in families}, series


def test_a_registry_of_the_client_library_shows_what_the_node_s_own_endpoint_shows() -> None:
    snapshot = node_snapshot(link(2, slow_start_threshold=9_000), link(3))
    assert snapshot.udp is not None
    for milliseconds in (1, 20, 20, 5_000):
        snapshot.udp.rtt.observe(milliseconds * MILLISECOND)
    seen = observation(snapshot)
    registry = CollectorRegistry()
    registry.register(NodeCollector(lambda: seen))

    assert parsed(generate_latest(registry).decode()) == parsed(render(seen).decode())


def test_registering_does_not_read_the_node() -> None:
    def observe() -> object:
        raise AssertionError("read")

    CollectorRegistry(auto_describe=True).register(NodeCollector(observe))  # type: ignore[arg-type]  # is never called


def test_a_link_that_is_gone_has_no_series_in_the_next_scrape() -> None:
    snapshots = [node_snapshot(link(2)), node_snapshot()]
    registry = CollectorRegistry()
    registry.register(NodeCollector(lambda: observation(snapshots.pop(0))))

    assert b'peer="00000002"' in generate_latest(registry)
    assert b'peer="00000002"' not in generate_latest(registry)
