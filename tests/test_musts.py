"""The rules of docs/TRANSPORT.md and the tests that hold them belong together; the script that says so can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "check-musts"
RULES = "- **M1** A thing MUST be so.\n- **M2** Another MUST NOT.\n"
CITING = '@pytest.mark.must("M1")\n@pytest.mark.must("M2")\ndef test_it() -> None: ...\n'


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


def tree(root: Path, rules: str, tests: str) -> str:
    """A tree with that document and one file of tests."""
    for directory in ("docs", "tests"):
        (root / directory).mkdir()
    (root / "docs" / "TRANSPORT.md").write_text(rules)
    (root / "tests" / "test_it.py").write_text(tests)
    return str(root)


def test_every_rule_is_cited_by_a_test_and_every_citation_has_its_rule() -> None:
    done = check()
    assert done.returncode == 0, done.stdout


def test_a_small_tree_in_order_passes(tmp_path: Path) -> None:
    done = check(tree(tmp_path, RULES, CITING))
    assert (done.returncode, done.stdout.strip()) == (0, "2 MUSTs, cited by 1 tests")


@pytest.mark.parametrize(
    ("rules", "tests", "complaint"),
    [
        (RULES, CITING.replace('@pytest.mark.must("M2")\n', ""), "M2 is cited by no test"),
        (RULES, CITING.replace("M2", "M3"), "tests/test_it.py::test_it cites M3, which is no rule"),
        (RULES.replace("M2", "M3"), CITING.replace("M2", "M3"), "not numbered"),
        (RULES.replace("MUST NOT", "may not"), CITING, "M2 is there without a MUST"),
        ("", "", "not numbered"),
    ],
)
def test_what_is_out_of_order_is_named(tmp_path: Path, rules: str, tests: str, complaint: str) -> None:
    done = check(tree(tmp_path, rules, tests))
    assert done.returncode == 1
    assert complaint in done.stdout
