"""A plugin of pytest for scripts/check-compiled: the modules are the compiled ones, and what they cannot do is told.

Tests that replace methods of a compiled object, or derive a class from a compiled one, cannot run: such a test is left
out where it tries to. Anything else is an error as ever.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from importlib import import_module

import pytest
from compile import modules

LEFT_OUT_MAX = 200
"""More than these would say that something else is wrong."""

IMPOSSIBLE = re.compile(
    "interpreted classes cannot inherit from compiled|object attribute '.*' is read-only|no attribute '__slots__'|"
    "a compiled node cannot be made hostile"
)


def pytest_sessionstart() -> None:
    interpreted = [name for name in modules() if str(import_module(name).__file__).endswith(".py")]
    if interpreted:
        raise pytest.UsageError(f"not compiled: {', '.join(interpreted)}")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo is not None and IMPOSSIBLE.search(str(call.excinfo.value)):
        report.outcome = "skipped"
        report.longrepr = (report.nodeid, 0, "replaces a part of a compiled class")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = len(terminalreporter.stats.get("skipped", ()))
    terminalreporter.write_line(f"left out, since they replace parts of compiled classes: {left_out} tests")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.exitstatus == 0 and reporter is not None and len(reporter.stats.get("skipped", ())) > LEFT_OUT_MAX:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
