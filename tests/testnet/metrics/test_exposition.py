"""Reading what nodes expose, and writing it down with its times."""

from __future__ import annotations

from node.testnet.metrics.exposition import parse_exposition, render_openmetrics

TEXT = """\
# HELP positron_x_total things
# TYPE positron_x_total counter
positron_x_total{node="a",reason="b \\"c\\" \\\\d"} 3
positron_x_total{node="a",reason="other"} 4.5
# TYPE positron_h histogram
positron_h_bucket{node="a",le="+Inf"} 2
positron_h_count{node="a"} 2
up 1
"""


def test_samples_are_read_with_their_labels() -> None:
    scrape = parse_exposition(TEXT)
    assert scrape.damaged == 0
    assert scrape.samples[0] == ("positron_x_total", (("node", "a"), ("reason", 'b "c" \\d')), 3.0)
    assert scrape.samples[-1] == ("up", (), 1.0)
    assert scrape.families["positron_x_total"].kind == "counter"


def test_what_is_no_sample_is_counted_and_costs_nothing_else() -> None:
    scrape = parse_exposition(TEXT + 'broken{a="b" 3\nx{a=b} 1\nx one\npositron_x_total{node="a",rea')
    assert scrape.damaged == 4
    assert len(scrape.samples) == 5


def test_what_is_written_is_openmetrics_with_times() -> None:
    scrape = parse_exposition(TEXT)
    series = [(name, labels, [(1700000000.0, value)]) for name, labels, value in scrape.samples]
    lines = list(render_openmetrics(scrape.families, series))
    assert "# TYPE positron_x counter\n" in lines
    assert 'positron_x_total{node="a",reason="b \\"c\\" \\\\d"} 3.0 1700000000.000\n' in lines
    assert "# TYPE positron_h histogram\n" in lines
    assert lines[-1] == "# EOF\n"


def test_series_of_one_metric_stand_together_whatever_their_order() -> None:
    scrape = parse_exposition(TEXT)
    series = [(name, labels, [(1.0, value)]) for name, labels, value in reversed(scrape.samples)]
    kinds = [line.split("{")[0] for line in render_openmetrics(scrape.families, series) if not line.startswith("#")]
    assert kinds == sorted(kinds, key=lambda name: name.removesuffix("_bucket").removesuffix("_count"))
