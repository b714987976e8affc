from __future__ import annotations

import json
import logging
import sys

from node.cli.logs import LIBRARY_RECORDS_PER_MINUTE, JsonFormatter, LibraryLimit, TextFormatter


def record(name: str, /, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("positron", logging.INFO, "file.py", 1, "%s", (name,), None)
    made.fields = fields
    made.created = 1_700_000_000.25
    return made


def library_record(text: str) -> logging.LogRecord:
    return logging.LogRecord("aiohttp.server", logging.ERROR, "file.py", 1, text, (), None)


def test_a_line_is_time_level_event_and_fields() -> None:
    line = TextFormatter().format(record("peer_up", peer="ab12cd34", rtt=0.020123456, is_seed=True))

    assert line == "2023-11-14T22:13:20.250Z INFO peer_up peer=ab12cd34 rtt=0.0201235 is_seed=true"


def test_no_value_can_forge_a_field_or_a_line() -> None:
    line = TextFormatter().format(record("problem", text='a b="c"\nERROR forged'))

    assert "\n" not in line
    assert line.endswith(r'problem text="a b=\"c\"\nERROR forged"')


def test_json_lines_hold_the_same_and_no_field_can_hide_the_event() -> None:
    table = json.loads(JsonFormatter().format(record("peer_up", peer="ab12cd34", event="forged", time=3)))

    assert table == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "event": "peer_up",
        "peer": "ab12cd34",
    }


def test_a_record_of_a_library_keeps_its_words() -> None:
    assert (
        TextFormatter()
        .format(library_record("bad request"))
        .endswith('ERROR library logger=aiohttp.server text="bad request"')
    )


def test_a_traceback_follows_the_line_or_is_a_field() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        failed = record("handler_failed")
        failed.exc_info = sys.exc_info()

    assert "ValueError: why" in TextFormatter().format(failed)
    assert "ValueError: why" in json.loads(JsonFormatter().format(failed))["traceback"]


def test_one_message_of_a_library_cannot_flood_the_log() -> None:
    limit = LibraryLimit()

    passed = sum(limit.filter(library_record("Error handling request")) for _ in range(1000))

    assert 0 < passed <= 2 * LIBRARY_RECORDS_PER_MINUTE  # twice, if the minute ended in between
    assert limit.filter(library_record("another message"))
    assert all(limit.filter(record("peer_up")) for _ in range(1000))
