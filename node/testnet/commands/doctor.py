"""`testnet doctor`: what this machine can do for a testnet, found out by trying, with a cure for what is missing."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict

__all__ = ["DEFAULT_IMAGE", "doctor"]

DEFAULT_IMAGE = "positron-testnet:local"


def doctor(arguments: argparse.Namespace) -> int:
    """Says what this machine can do; status 1 when something is missing without which nothing starts."""
    from node.testnet.doctor import examine

    findings = []
    for finding in examine(os.environ.get("POSITRON_IMAGE") or DEFAULT_IMAGE, arguments.file):
        findings.append(finding)
        if not arguments.json:
            print(f"{'ok     ' if finding.is_there else 'missing'}  {finding.subject}: {finding.detail}")
            if finding.cure:
                print(f"         {finding.cure}")
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 0 if all(finding.is_there for finding in findings if finding.is_required) else 1
