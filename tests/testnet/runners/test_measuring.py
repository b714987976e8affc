"""Links that are measured with the probes of real nodes."""

from __future__ import annotations

from statistics import median

import pytest

from node.impairment.link import LinkSettings
from node.testnet.run.verification import verify
from node.testnet.runners.proc import ProcRunner
from node.types import MILLISECOND

pytestmark = pytest.mark.loopback


def test_what_was_asked_of_links_is_measured_on_them_and_on_no_others(whole: ProcRunner) -> None:
    bad = LinkSettings(loss=0.3, delay=20 * MILLISECOND)
    narrow = LinkSettings(rate=20_000)
    whole.set_links({("seed", "node-1"): bad, ("node-2", "node-3"): narrow})
    links = [("seed", "node-1"), ("node-1", "seed"), ("node-2", "node-3")]
    try:
        counts = whole.probe(links, 300)
    finally:
        whole.set_links({link: LinkSettings() for link in links})
    assert [count.link for count in counts] == links
    assert [count.sent for count in counts[:2]] == [300, 300]
    assert not [one.text for one in verify(counts[:1], {links[0]: bad}) if not one.is_applied]
    assert counts[1].received == 300
    assert median(counts[1].delays) < 0.01
    assert counts[2].received == counts[2].sent
