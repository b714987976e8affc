"""Verdicts as exit statuses."""

from __future__ import annotations

from node.testnet.run.verdict import Verdict


def test_every_verdict_has_the_status_that_is_documented() -> None:
    assert {verdict.value: verdict.status for verdict in Verdict} == {
        "passed": 0,
        "failed": 1,
        "deviated": 1,
        "not-applied": 3,
        "not-run": 4,
        "aborted": 1,
        "unsupported": 127,
    }
