from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.metrics.names import CATALOGUE
from node.metrics.text import CONTENT_TYPE, render
from node.types import MILLISECOND
from tests.metrics.samples import link, node_snapshot, observation, tcp_link


def exposition() -> str:
    snapshot = node_snapshot(link(2, slow_start_threshold=9_000), link(3), tcp_link(2))
    assert snapshot.udp is not None
    for milliseconds in (1, 20, 20, 5_000):
        snapshot.udp.rtt.observe(milliseconds * MILLISECOND)
    return render(observation(snapshot)).decode()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_complain_about() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition(), capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_exposed_is_what_the_catalogue_declares() -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition())}

    assert set(families) == {name.removesuffix("_total") for name in CATALOGUE}
    for name, metric in CATALOGUE.items():
        family = families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (str(metric.kind), metric.help)


def test_every_series_carries_the_name_of_the_node_and_no_other_unknown_label() -> None:
    declared = {
        name: {"node", *(label.name for label in metric.labels)} | ({"le"} if metric.bounds else set())
        for name, metric in CATALOGUE.items()
    }
    for family in text_string_to_metric_families(exposition()):
        for sample in family.samples:
            metric_name = next(n for n in (family.name, family.name + "_total") if n in declared)
            assert sample.labels["node"] == "node-1"
            assert set(sample.labels) <= declared[metric_name]


def test_no_series_tells_when_it_was_created() -> None:
    assert "_created" not in exposition()


def test_buckets_are_cumulative_and_end_at_infinity() -> None:
    (family,) = [f for f in text_string_to_metric_families(exposition()) if f.name == "positron_rtt_seconds"]
    buckets = [(sample.labels["le"], sample.value) for sample in family.samples if sample.name.endswith("_bucket")]

    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert buckets[-1] == ("+Inf", 4)
    assert dict(buckets)["0.001"] == 1


def test_what_a_label_may_hold_is_escaped() -> None:
    text = render(observation(node_snapshot(link(2), name='a"b\\c\nd%s'))).decode()

    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["positron_ready"].samples[0].labels == {"node": 'a"b\\c\nd%s'}
    assert families["positron_link_mtu_bytes"].samples[0].labels == {"node": 'a"b\\c\nd%s', "peer": "00000002"}


def test_a_scrape_tells_of_the_links_that_are_there_now() -> None:
    for listed in (("2", "3"), ("2", "4"), ("2",), ()):
        text = render(observation(node_snapshot(*(link(int(number)) for number in listed)))).decode()

        assert re.findall(r'positron_link_mtu_bytes{node="node-1",peer="0000000(.)"}', text) == list(listed)


def test_the_content_type_is_the_text_format() -> None:
    assert CONTENT_TYPE.startswith("text/plain")
