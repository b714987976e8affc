from __future__ import annotations

from node.cli.finding import Finding, Verdict, finding_lines


def test_each_finding_is_a_line_and_each_cure_another() -> None:
    assert finding_lines(
        [
            Finding(subject="port", verdict=Verdict.OK, detail="free"),
            Finding(subject="key file", verdict=Verdict.FAILED, detail="open to all", cure="close it"),
        ]
    ) == [
        "ok       port      free",
        "failed   key file  open to all",
        "                   -> close it",
    ]
    assert finding_lines([]) == []
