"""Writes docs/METRICS.md from the catalogue: `python -m node.metrics.document > docs/METRICS.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from node.metrics.names import CATALOGUE, Kind, Label, Metric

__all__ = ["UNLISTED", "document"]


def _unlisted(total: str, of_links: str) -> str:
    """The rate of the links that are not listed, by node; without any that is listed, the total."""
    every = f"sum by (node) (rate({total}[10s]))"
    return f"({every} - (sum by (node) (rate({of_links}[10s])) or 0 * {every}))"


_SENT = _unlisted('positron_sent_packets_total{transport="udp"}', "positron_link_sent_packets_total")
_RESENT = _unlisted("positron_retransmitted_packets_total", "positron_link_retransmitted_packets_total")

UNLISTED = {
    "How many there are": "positron_links_unlisted",
    "Packets that they send each second": _SENT,
    "Share of those that carry data again": f"{_RESENT} / ({_SENT} > 0)",
}
"""What can be asked of the links that are not listed; totals count them, so it is the total less what is listed."""

HEAD = """\
# Metrics

Made from the catalogue in [node/metrics/names.py](../node/metrics/names.py) by `python -m node.metrics.document`.

Every series carries the label `node`, the node's own name.
Counters begin at 0 with the process, gauges are read when they are asked for, and durations are seconds.
Every set of labels that is known in advance is exposed from the start, with 0.
Links with peers that proved their key have series of their own, 128 of them at most.
The setting `metrics_peers` (`METRICS_PEERS` for containers) makes that fewer: `top:K` or `off`.
The oldest links are listed, so that newcomers cannot push them out; `positron_links_unlisted` counts the others.
Sums over all links include them; a link that is gone is gone by the next scrape.
What the others do together is the total less what is listed, [below](#links-that-are-not-listed).

The label `peer` is the first 8 digits of a peer's key, proved in its handshake; nothing that peers choose is a label.
Series of tier 2 exist once for each listed link.
The links listed are limited, so that strangers cannot mint series, and a link that ends is gone at the next scrape.
The name of a peer is joined at query time, from what each node says of itself:

    positron_link_rtt_smoothed_seconds * on (peer) group_left (peer_name) peer:positron_node_info:name

"""


def document() -> str:
    """The whole document."""
    return HEAD + "".join(_section(tier) for tier in (1, 2)) + _links_that_are_not_listed()


def _section(tier: int) -> str:
    metrics = [metric for metric in CATALOGUE.values() if metric.tier == tier]
    series = sum(_series(metric) for metric in metrics)
    if tier == 1:
        head = (
            f"## One node\n\n{len(metrics)} metrics, {series} series and more where labels are facts of the node.\n\n"
        )
    else:
        head = f"\n## One link\n\n{len(metrics)} metrics, as many series for each link.\n\n"
    return head + "".join(_rows(metrics))


def _links_that_are_not_listed() -> str:
    queries = "".join(f"{title}:\n\n    {query}\n\n" for title, query in UNLISTED.items())
    return (
        "\n## Links that are not listed\n\nFor `top:K`, for `off`, and for more than 128 links.\n"
        "Round trips of all links are in `positron_rtt_seconds`, whatever is listed.\n\n"
        f"{queries.rstrip()}\n"
    )


def _rows(metrics: list[Metric]) -> Iterator[str]:
    yield "| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n"
    for metric in metrics:
        labels = "; ".join(_label(label) for label in metric.labels)
        yield f"| `{metric.name}` | {metric.kind.value} | {metric.unit} | {labels} | {metric.help} |\n"


def _label(label: Label) -> str:
    return f"`{label.name}`: {', '.join(label.values)}" if label.values else f"`{label.name}`"


def _series(metric: Metric) -> int:
    """How many series a metric has on one node, as far as its labels tell."""
    count = 1
    for label in metric.labels:
        count *= max(1, len(label.values))
    return count * (len(metric.bounds) + 3) if metric.kind is Kind.HISTOGRAM else count


if __name__ == "__main__":
    sys.stdout.write(document())
