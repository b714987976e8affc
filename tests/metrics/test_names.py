from __future__ import annotations

import re

from node.metrics.names import CATALOGUE, Kind

UNITS = ("_seconds", "_bytes", "_bytes_per_second", "_ratio")


def test_names_follow_the_conventions() -> None:
    for name, metric in CATALOGUE.items():
        assert re.fullmatch(r"positron_[a-z]+(_[a-z]+)*", name), name
        assert (metric.kind is Kind.COUNTER) == name.endswith("_total"), name
        if metric.unit in ("seconds", "bytes", "ratio"):
            assert name.removesuffix("_total").endswith(UNITS), name


def test_every_metric_has_unit_and_one_sentence_of_help() -> None:
    for name, metric in CATALOGUE.items():
        assert metric.unit, name
        assert metric.help.endswith("."), name
        assert "\n" not in metric.help, name


def test_a_name_is_declared_once() -> None:
    assert len({metric.help for metric in CATALOGUE.values()}) == len(CATALOGUE)


def test_only_the_links_have_a_label_without_a_closed_set_of_values() -> None:
    open_labels = {
        name: [label.name for label in metric.labels if not label.values]
        for name, metric in CATALOGUE.items()
        if any(not label.values for label in metric.labels)
    }

    assert {name for name, labels in open_labels.items() if labels == ["peer"]} == {
        name for name, metric in CATALOGUE.items() if metric.tier == 2
    }
    # These have one series per node: what is open there is a fact of the node.
    assert {name for name in open_labels if CATALOGUE[name].tier == 1} == {
        "positron_build_info",
        "positron_node_info",
        "positron_impairment_loss_ratio",
        "positron_impairment_delay_seconds",
        "positron_impairment_jitter_seconds",
        "positron_impairment_rate_bytes_per_second",
        "positron_impairment_asked_loss_ratio",
        "positron_impairment_asked_delay_seconds",
        "positron_impairment_offered_packets_total",
        "positron_impairment_dropped_packets_total",
        "positron_chaos_active",
    }


def test_buckets_rise() -> None:
    for name, metric in CATALOGUE.items():
        assert bool(metric.bounds) == (metric.kind is Kind.HISTOGRAM), name
        assert list(metric.bounds) == sorted(set(metric.bounds)), name
