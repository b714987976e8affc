"""PromQL over a recording gives what Prometheus would."""

from __future__ import annotations

import math

import pytest

from node.testnet.metrics.exposition import Labels
from node.testnet.metrics.promql import BadQuery, Query
from node.testnet.metrics.recording import Recording


def labels(**pairs: str) -> Labels:
    return tuple(sorted(pairs.items()))


@pytest.fixture
def recording() -> Recording:
    """Two nodes, scraped each second from 1 to 10; a counter of the second begins again at 6."""
    recording = Recording()
    for time in range(1, 11):
        recording.add(time, "peers", labels(node="a"), 3.0)
        recording.add(time, "peers", labels(node="b"), 5.0)
        recording.add(time, "sent_total", labels(node="a", peer="b"), 10.0 * time)
        recording.add(time, "sent_total", labels(node="b", peer="a"), 4.0 * (time if time < 6 else time - 5))
        recording.add(time, "lost_total", labels(node="a", peer="b"), 1.0 * time)
        for bound, share in (("0.1", 0.5), ("1", 0.9), ("+Inf", 1.0)):
            recording.add(time, "rtt_bucket", labels(node="a", le=bound), share * 100 * time)
    return recording


def ask(recording: Recording, text: str, time: float = 10.0) -> dict[Labels, float]:
    return Query(text).at(recording, time)


def number(recording: Recording, text: str) -> float:
    (value,) = ask(recording, text).values()
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("min(peers)", 3.0),
        ("max(peers)", 5.0),
        ("sum(peers)", 8.0),
        ("avg(peers)", 4.0),
        ("count(peers)", 2.0),
        ("count(peers > 3)", 1.0),
        ("sum(peers > bool 3)", 1.0),
        ("1 + 2 * 3", 7.0),
        ("-min(peers)", -3.0),
        ("sum(rate(sent_total{node='a'}[5s]))", 10.0),
        ("sum(increase(sent_total{node='b'}[20s]))", 36.0),
        ("max(rate(lost_total[5s]) / rate(sent_total[5s]))", 0.1),
        ("max_over_time(lost_total[5s])", 10.0),
        ("min_over_time(lost_total[5s])", 6.0),
        ("sum(sent_total offset 5s)", 70.0),
        ("absent(nothing)", 1.0),
        ("clamp_max(sum(peers), 2)", 2.0),
        ("sum(peers{node=~'a|b', node!='b'})", 3.0),
        ("sum(peers{node!~'a'})", 5.0),
        ("scalar(min(peers)) + 1", 4.0),
        ("time()", 10.0),
        ("peers and on(node) lost_total", 3.0),
        ("peers unless on(node) lost_total", 5.0),
        ("sum(peers or vector(7))", 15.0),
        ("topk(1, peers)", 5.0),
        ("round(vector(2.5))", 3.0),
        ("round(vector(7), 5)", 5.0),
        ("ceil(vector(0.2)) + floor(vector(-0.2))", 0.0),
        ("round(vector(1), 0)", math.nan),
        ("ceil(vector(0) / 0)", math.nan),
        ("floor(vector(1) / 0)", math.inf),
        ("sqrt(vector(-1))", math.nan),
    ],
)
def test_an_expression_has_the_value_that_prometheus_gives(recording: Recording, text: str, value: float) -> None:
    assert number(recording, text) == pytest.approx(value, nan_ok=True)


def test_groups_keep_the_labels_that_they_are_made_by(recording: Recording) -> None:
    assert ask(recording, "sum by (node) (sent_total)") == {labels(node="a"): 100.0, labels(node="b"): 20.0}
    assert ask(recording, "sum without (peer) (sent_total)") == ask(recording, "sum by (node) (sent_total)")


def test_a_comparison_filters_and_keeps_the_name(recording: Recording) -> None:
    (found,) = ask(recording, "peers > 3")
    assert dict(found) == {"__name__": "peers", "node": "b"}


def test_a_quantile_is_linear_within_its_bucket(recording: Recording) -> None:
    text = "histogram_quantile({}, sum by (le) (rate(rtt_bucket[5s])))"
    assert number(recording, text.format(0.25)) == pytest.approx(0.05)
    assert number(recording, text.format(0.7)) == pytest.approx(0.1 + 0.9 * 0.5)
    assert number(recording, text.format(0.99)) == pytest.approx(1.0), "the last finite bound"


def test_labels_of_the_other_side_are_joined_on(recording: Recording) -> None:
    names = "label_replace(peers, 'name', 'n-$1', 'node', '(.+)')"
    renamed = "label_replace(" + names + ", 'peer', '$1', 'node', '(.+)')"
    found = ask(recording, f"sent_total * on(peer) group_left(name) (topk by (peer) (1, {renamed}) * 0 + 1)")
    assert found == {
        labels(node="a", peer="b", name="n-b"): 100.0,
        labels(node="b", peer="a", name="n-a"): 20.0,
    }


def test_changes_are_counted(recording: Recording) -> None:
    assert number(recording, "max(changes(lost_total[20s]))") == 9.0
    assert number(recording, "max(changes(peers[20s]))") == 0.0


def test_nothing_is_known_before_the_first_and_after_the_last_sample(recording: Recording) -> None:
    assert ask(recording, "peers", 0.5) == {}
    assert ask(recording, "peers", 20.0) == {}
    assert math.isnan(number(recording, "0 / 0"))


def test_the_best_of_no_number_are_refused_and_of_less_than_one_are_none(recording: Recording) -> None:
    with pytest.raises(BadQuery, match="topk takes a number, and nan is none"):
        ask(recording, "topk(scalar(nothing), peers)")
    assert ask(recording, "topk(0, peers)") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topk(scalar(exp(peers)), peers)", "exp"),
        ("sum(", "unclosed"),
        ("peers[5s]", "MatrixSelector is not supported"),
        ("rate(peers)", "matrix"),
        ("lost_total * on(node) group_right peers", "group_right"),
        ("stddev(peers)", "stddev"),
        ("peers @ 5", "@"),
        ("max_over_time(peers[5s:1s])", "range"),
    ],
)
def test_what_is_not_supported_is_refused_before_it_is_asked(text: str, said: str) -> None:
    with pytest.raises(BadQuery, match=said):
        Query(text)
