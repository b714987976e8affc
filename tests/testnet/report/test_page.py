"""The report of a real run shows the fault, its effect where it acted, and what came of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from node.testnet.errors import TestnetMisused
from node.testnet.report import write_report
from node.testnet.report.page import render_report
from node.testnet.report.stored import StoredRun, load
from node.testnet.run.conductor import Conductor
from node.testnet.run.folder import RunFolder
from node.testnet.runners.sim import SimRunner
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve

TEXT = """\
schema: 1
title: one <bad> node
seed: 5
topology: {nodes: 4}
links: {all: {delay: 5ms}}
load: {publish: 10/s}
timeline:
  - {at: 3s, id: lossy, loss: 25%, target: node-2, for: 12s}
expect:
  - {recover: lossy, to: steady, within: 10s}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scenario = parse_scenario(TEXT, file="s.yaml", name="s")
    conductor = Conductor(scenario, resolve(scenario), SimRunner())
    conductor.run()
    made = RunFolder(tmp_path_factory.mktemp("runs"), "s", 5, began=1_700_000_000.0)
    made.write(conductor, {"schema": 1, "title": "one <bad> node", "timeline": []})
    return made.path


@pytest.fixture(scope="module")
def run(folder: Path) -> StoredRun:
    return load(folder)


@pytest.fixture(scope="module")
def page(run: StoredRun) -> str:
    return render_report(run).text


class _Tags(HTMLParser):
    VOID = ("meta", "line", "rect", "path", "link", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(page: str) -> None:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.sources == []
    assert "<script" not in page
    assert "url(" not in page


def test_what_was_decided_is_at_the_top(page: str) -> None:
    assert '<p class="verdict passed">passed</p>' in page
    assert "one &lt;bad&gt; node" in page


def test_the_fault_is_shaded_in_every_chart(page: str) -> None:
    figures = page.split('<figure class="time_series">')[1:]
    assert len(figures) == 12
    assert all("<title>lossy: loss</title>" in figure for figure in figures)


def test_every_chart_has_data(page: str) -> None:
    assert 'class="nothing"' not in page


def test_retransmissions_show_on_the_links_of_the_bad_node_and_on_no_others(page: str) -> None:
    matrix = page[page.index("link by link") :]
    shares = {
        (source, target): float(share)
        for source, target, share in re.findall(r"<title>(\S+) &gt; (\S+): ([\d.e-]+) %</title>", matrix)
    }
    assert len(shares) == 12
    bad = [share for link, share in shares.items() if "node-2" in link]
    assert min(bad) > 3
    assert max(share for link, share in shares.items() if "node-2" not in link) < 1


def test_samples_that_were_left_out_are_filled_in_again(run: StoredRun) -> None:
    for series in run.recording.named("up"):
        gaps = [after - before for before, after in zip(series.times, series.times[1:], strict=False)]
        assert max(gaps) < 2.1


def test_the_same_folder_gives_the_same_page(folder: Path, page: str) -> None:
    assert write_report(folder).path.read_text() == page == render_report(load(folder)).text


def copy_of(folder: Path, made: Path) -> Path:
    """The files of that run, to be damaged."""
    for path in folder.iterdir():
        if path.is_file():
            (made / path.name).write_bytes(path.read_bytes())
    return made


def section(page: str, title: str) -> str:
    return page[page.index(f"<h2>{title}</h2>") :].split("</section>", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("facts.json", ["Invariants", "Retransmissions, link by link"]),
        ("history.jsonl", ["Invariants"]),
        ("links.csv", ["Links, asked and measured"]),
        ("metrics.openmetrics", ["Over time", "Retransmissions, link by link"]),
        ("scenario.resolved.yaml", ["The scenario"]),
        ("timeline.jsonl", ["What happened", "Over time"]),
    ],
)
def test_what_a_damaged_file_keeps_from_being_shown_is_said_in_its_place(
    folder: Path, tmp_path: Path, name: str, titles: list[str]
) -> None:
    made = copy_of(folder, tmp_path)
    (made / name).unlink()

    written = write_report(made)

    page = written.path.read_text()
    assert [line.split(";")[0] for line in written.damage] == [f"{made / name} is missing"]
    for title in titles:
        assert f'<p class="missing">{name} is missing; ' in section(page, title), title
    assert page.count('class="missing"') == len(titles)


def test_every_chart_that_cannot_be_drawn_says_what_is_not_there(folder: Path, tmp_path: Path) -> None:
    made = copy_of(folder, tmp_path)
    (made / "metrics.openmetrics").write_text("# EOF\n")

    written = write_report(made)

    figures = written.path.read_text().split("<figure ")[1:]
    assert len(written.empty) == len(figures) > 10
    assert all('<p class="nothing">No data: there is no sample of ' in figure for figure in figures)
    assert written.damage == []


def test_a_chart_whose_metric_another_version_calls_otherwise_names_it(folder: Path, tmp_path: Path) -> None:
    made = copy_of(folder, tmp_path)
    text = (made / "metrics.openmetrics").read_text()
    (made / "metrics.openmetrics").write_text(text.replace("positron_rtt_seconds_bucket", "positron_trips_bucket"))

    written = write_report(made)

    assert written.empty == ["Round trip time", "Round trip time, p99 by node"]
    assert "there is no sample of positron_rtt_seconds_bucket" in written.path.read_text()


def test_a_folder_of_another_version_is_named_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    copy_of(folder, tmp_path)
    environment = json.loads((tmp_path / "env.json").read_text())
    (tmp_path / "env.json").write_text(json.dumps(environment | {"format": 7, "version": "9.9"}))
    with pytest.raises(TestnetMisused, match=r"written by version 9\.9 in format 7, and this version reads format 1"):
        load(tmp_path)


def test_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(TestnetMisused, match="is not the folder of a run"):
        load(tmp_path)
