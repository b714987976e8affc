"""The document of the metrics is what the catalogue says."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.metrics.document import UNLISTED, document
from node.metrics.names import CATALOGUE
from node.metrics.text import render
from node.testnet.metrics.promql import Query
from node.testnet.metrics.recording import Recording
from node.transport.stats import ConnectionStats, EndpointStats
from tests.metrics.samples import link, node_snapshot, observation, tcp_link

WRITTEN = Path(__file__).parents[2] / "docs" / "METRICS.md"


def test_the_document_is_up_to_date() -> None:
    assert WRITTEN.read_text() == document(), "python -m node.metrics.document > docs/METRICS.md"


def test_every_metric_is_in_it_once() -> None:
    text = document()
    assert all(text.count(f"| `{name}` |") == 1 for name in CATALOGUE)


def scraped(listed_max: int) -> Recording:
    """Eleven seconds of a node with four links, each of which sends 100 packets a second, and number `n` 2 n again."""
    recording = Recording()
    for second in range(11):
        numbers = range(1, 5)
        again = [{"reordering": 2 * number * second, "timeout": 0, "probe": 0} for number in numbers]
        stats = [ConnectionStats(packets_sent=100 * second, packets_retransmitted=one) for one in again]
        snapshot = node_snapshot(
            *(link(number, stats=of_link) for number, of_link in zip(numbers, stats, strict=True)),
            tcp_link(1),
            udp=EndpointStats().plus(stats),
        )
        text = render(observation(snapshot, listed_max=listed_max)).decode()
        recording.scrape(float(second), {"node-1": text})
    return recording


@pytest.mark.parametrize(
    ("listed_max", "links", "streams", "packets", "share"),
    [(128, 0, 0, 0.0, None), (1, 3, 0, 300.0, 0.06), (3, 1, 0, 100.0, 0.08), (0, 4, 1, 400.0, 0.05)],
)
def test_the_links_that_are_not_listed_are_the_total_less_the_listed_ones(
    listed_max: int, links: int, streams: int, packets: float, share: float | None
) -> None:
    recording = scraped(listed_max)
    counts, sent, ratio = (Query(query).at(recording, 10.0) for query in UNLISTED.values())
    assert {dict(labels)["transport"]: value for labels, value in counts.items()} == {"udp": links, "tcp": streams}
    assert list(sent.values()) == [pytest.approx(packets)]
    assert list(ratio.values()) == ([] if share is None else [pytest.approx(share)])
    assert all(dict(labels)["node"] == "node-1" for labels in sent)
