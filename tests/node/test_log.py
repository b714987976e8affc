from __future__ import annotations

import logging

import pytest

from node.metrics.readings import RuntimeStats
from node.node.log import EVENT_BURST, EventLog


def test_an_event_is_a_constant_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        log.info("peer_up", peer="ab12cd34")

    assert [(record.getMessage(), record.fields) for record in caplog.records] == [("peer_up", {"peer": "ab12cd34"})]  # type: ignore[attr-defined]  # set through extra


def test_one_event_cannot_flood_the_log_and_what_is_withheld_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    runtime = RuntimeStats()
    log = EventLog(runtime)

    with caplog.at_level(logging.INFO, "positron"):
        for _ in range(1000):
            log.warning("peer_misbehaved")
        log.info("another_event")

    passed = len(caplog.records) - 1
    assert EVENT_BURST <= passed <= EVENT_BURST + 5
    assert runtime.log_suppressed == 1000 - passed
    assert runtime.log_messages["warning"] == 1000
    assert caplog.records[-1].getMessage() == "another_event"


def test_the_next_record_tells_how_many_were_withheld(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("node.node.log.time.monotonic", lambda: clock[0])
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        for _ in range(EVENT_BURST + 7):
            log.info("dial_failed")
        clock[0] += 5
        log.info("dial_failed")

    assert caplog.records[-1].fields == {"withheld": 7}  # type: ignore[attr-defined]  # set through extra


def test_a_level_that_is_off_costs_no_budget(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        for _ in range(1000):
            log.debug("datagram")
    with caplog.at_level(logging.DEBUG, "positron"):
        log.debug("datagram")

    assert len(caplog.records) == 1


def test_an_error_brings_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        log.failure("handler_failed", ValueError("why"))

    assert caplog.records[0].exc_info is not None
