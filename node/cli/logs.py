"""Sets up logging for a node that runs as a program: `event key=value` lines, or JSON, on standard error.

Knows nothing of what is logged. Records of this project carry their fields in `fields` and pass through the node's own
rate limit; records of libraries are limited here, since a stranger's bytes may cause them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime

__all__ = ["JsonFormatter", "LibraryLimit", "TextFormatter", "set_up_logging"]

LIBRARY_RECORDS_PER_MINUTE = 20
"""Per message of a library; the first ones say what there is to say."""

LIBRARY_MESSAGES_MAX = 256
"""Messages of libraries that are counted apart; the table starts over when it is full."""


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO event key=value key="two words"`."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_timestamp(record), record.levelname, _event(record)]
        words.extend(f"{name}={_word(value)}" for name, value in _fields(record).items())
        line = " ".join(words)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per line with `time`, `level`, `event` and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        table: dict[str, object] = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "event": _event(record),
        }
        for name, value in _fields(record).items():
            table.setdefault(name, value)
        if record.exc_info:
            table["traceback"] = self.formatException(record.exc_info)
        return json.dumps(table, default=str)


class LibraryLimit(logging.Filter):
    """Lets each message of a library through a limited number of times a minute; records with fields always."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if hasattr(record, "fields"):
            return True
        minute = int(time.monotonic() // 60)
        key = (record.name, str(record.msg)[:200])
        seen_at, seen = self._seen.get(key, (minute, 0))
        if seen_at != minute:
            seen = 0
        if key not in self._seen and len(self._seen) >= LIBRARY_MESSAGES_MAX:
            self._seen.clear()
        self._seen[key] = (minute, seen + 1)
        return seen < LIBRARY_RECORDS_PER_MINUTE


def set_up_logging(level: str, log_format: str) -> None:
    """Sends every record of `level` and above to standard error. log_format: `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(LibraryLimit())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What the event loop says at debug level is about itself, with every wake-up.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> str:
    return record.getMessage() if hasattr(record, "fields") else "library"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", None)
    if isinstance(fields, dict):
        return fields
    return {"logger": record.name, "text": record.getMessage()}


def _word(value: object) -> str:
    """A value as one word, quoted where it would not be one; no value can begin a line of its own."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)
