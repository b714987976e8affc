"""A live node tells one story: its metrics, its API and its command line show the same figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from node.cli.main import main
from node.testnet.metrics.exposition import parse_exposition
from tests.node.network import network_beside, url_of

pytestmark = pytest.mark.loopback

COUNTERS = {
    "packets_sent": "sent_packets_total",
    "packets_received": "received_packets_total",
    "retransmissions": "retransmitted_packets_total",
    "packets_lost": "lost_packets_total",
    "messages_received": "received_messages_total",
}
"""Fields of a link's report and metrics of links."""

GAUGES = {
    "rtt": "rtt_smoothed_seconds",
    "rtt_min": "rtt_min_seconds",
    "rto_computed": "rto_computed_seconds",
    "rto_effective": "rto_effective_seconds",
}
ATTEMPTS = 200


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with network_beside(2) as (node, _):
        yield url_of(node)


def exported(url: str) -> dict[str, float]:
    """The series of the one link, by name."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        samples = parse_exposition(answer.read().decode()).samples
    return {
        name.removeprefix("positron_link_"): value for name, _, value in samples if name.startswith("positron_link_")
    }


def asked_of_the_api(url: str, _capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with urlopen(f"{url}/api/v1/stats", timeout=10) as answer:
        return udp_link(json.load(answer))


def asked_of_the_command(url: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["stats", "--url", url, "--json"]) == 0
    return udp_link(json.loads(capsys.readouterr().out))


def udp_link(stats: dict[str, Any]) -> dict[str, Any]:
    (link,) = [link for link in stats["links"] if link["transport"] == "udp"]
    return dict(link)


@pytest.mark.parametrize("ask", [asked_of_the_api, asked_of_the_command])
def test_what_is_shown_lies_between_one_scrape_and_the_next(
    url: str, capsys: pytest.CaptureFixture[str], ask: Callable[[str, pytest.CaptureFixture[str]], dict[str, Any]]
) -> None:
    for _ in range(ATTEMPTS):
        before, shown, after = exported(url), ask(url, capsys), exported(url)
        for field, metric in COUNTERS.items():
            assert before[metric] <= shown[field] <= after[metric]
        if all(before[metric] == after[metric] for metric in (*COUNTERS.values(), *GAUGES.values())):
            # Nothing happened in between: all three saw the same link.
            for field, metric in GAUGES.items():
                assert shown[field] == before[metric]
            return
    pytest.fail(f"the link changed between any two of {ATTEMPTS} scrapes")
