"""One thing that `positron doctor` has looked at, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "finding_lines"]


class Verdict(StrEnum):
    """ok: as it should be. warning: works, but worse or riskier. failed: does not. skipped: could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """subject: what was looked at. detail: what was found. cure: what to do, "" where there is nothing to do."""

    subject: str
    verdict: Verdict
    detail: str
    cure: str = ""


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """One line per finding, and one for each cure."""
    width = max((len(finding.subject) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict:<7}  {finding.subject:<{width}}  {finding.detail}")
        if finding.cure:
            lines.append(f"{'':<7}  {'':<{width}}  -> {finding.cure}")
    return lines
