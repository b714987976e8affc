"""The node's log: constant event names with fields, counted by level and limited by event.

Knows nothing of formats and destinations, which belong to the program (`node.cli.logs`) or to whoever embeds a node.
What a stranger can trigger, a stranger can trigger without end; so every event has a budget, and what is withheld is
counted and told with the next one that passes.
"""

from __future__ import annotations

import logging
import time

from node.metrics.readings import RuntimeStats

__all__ = ["LOGGER", "EventLog"]

LOGGER = logging.getLogger("positron")

EVENT_BURST = 20
"""Records of one event that pass at once."""

EVENTS_PER_SECOND = 1.0
"""Records of one event that pass in the long run."""


class EventLog:
    """Logs for one node. The names of events are constants of the code, so the table of budgets is bounded by it."""

    def __init__(self, runtime: RuntimeStats) -> None:
        self._runtime = runtime
        self._budgets: dict[str, _Budget] = {}

    def debug(self, event: str, **fields: object) -> None:
        """Of use to somebody who looks for a fault; may hold addresses."""
        self._record(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Part of the node's ordinary life."""
        self._record(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Somebody should look at this."""
        self._record(logging.WARNING, event, fields)

    def failure(self, event: str, error: BaseException | None = None, **fields: object) -> None:
        """Something stopped; level ERROR. error: logged with its traceback."""
        self._record(logging.ERROR, event, fields, error)

    def _record(self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        word = logging.getLevelName(level).lower()
        self._runtime.log_messages[word] += 1
        if not LOGGER.isEnabledFor(level):
            return
        budget = self._budgets.setdefault(event, _Budget())
        if not budget.take(time.monotonic()):
            self._runtime.log_suppressed += 1
            return
        if budget.withheld:
            fields["withheld"] = budget.withheld
            budget.withheld = 0
        # The name of an event is a constant; a % in it would be a mistake of ours and never a value of a peer's.
        LOGGER.log(level, "%s", event, extra={"fields": fields}, exc_info=error)


class _Budget:
    """A token bucket."""

    __slots__ = ("tokens", "updated_at", "withheld")

    def __init__(self) -> None:
        self.tokens = float(EVENT_BURST)
        self.updated_at = 0.0
        self.withheld = 0

    def take(self, now: float) -> bool:
        self.tokens = min(EVENT_BURST, self.tokens + (now - self.updated_at) * EVENTS_PER_SECOND)
        self.updated_at = now
        if self.tokens < 1:
            self.withheld += 1
            return False
        self.tokens -= 1
        return True
