"""What the documents state as fact is compared with the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.gossip.frames import Act
from node.messages.types import MessageType
from node.testnet.boards import BOARDS
from node.transport.connection import _HANDLERS
from node.trust.evidence import PENALTIES
from node.types import MILLISECOND, SECOND
from node.wire import limits
from node.wire.frames import FrameType
from node.wire.header import PacketType

_ROOT = Path(__file__).parent.parent
_UNITS = {"": 1, " ms": MILLISECOND, " s": SECOND}


def _rows(document: str, section: str) -> list[list[str]]:
    text = re.split(rf"\n## (?:\d+\. )?{section}", (_ROOT / "docs" / document).read_text(), maxsplit=1)[1]
    text = text.split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("row", _rows("TRANSPORT.md", "8. Constants")[2:], ids=lambda row: row[0])
def test_every_documented_constant_has_the_value_of_the_code(row: list[str]) -> None:
    found = re.fullmatch(r"(\d+)( ms| s|)", row[1])
    assert found is not None
    assert getattr(limits, row[0]) == int(found[1]) * _UNITS[found[2]]


@pytest.mark.parametrize(
    "row", [*_rows("TRUST.md", "Constants")[2:], *_rows("SECURITY-MODEL.md", "Bounds")[2:]], ids=lambda row: row[0]
)
def test_every_bound_in_a_document_is_the_one_of_the_code(row: list[str]) -> None:
    found = re.fullmatch(r"(\d+)( ms| s| KiB| MiB|)", row[1])
    assert found is not None
    sizes = {" KiB": 1 << 10, " MiB": 1 << 20}
    assert getattr(limits, row[0].strip("`")) == int(found[1]) * (_UNITS | sizes)[found[2]]


def test_the_weights_of_evidence_are_documented_as_they_are() -> None:
    documented = {
        row[0]: float(row[1]) for row in _rows("TRUST.md", "The score") if row[1][:1].isdigit() and len(row) == 3
    }
    assert documented == dict(PENALTIES)


@pytest.mark.parametrize("row", _rows("GOSSIP.md", "4. Constants")[2:], ids=lambda row: row[0])
def test_every_constant_of_gossip_has_the_value_of_the_code(row: list[str]) -> None:
    assert getattr(limits, row[0]) == int(row[1])


def test_every_act_of_gossip_is_documented_under_its_number() -> None:
    documented = {row[0]: int(row[1]) for row in _rows("GOSSIP.md", "Gossip") if row[0].isupper() and row[1].isdigit()}
    assert documented == {act.name: int(act) for act in Act}


def test_every_frame_type_is_documented_under_its_number() -> None:
    documented = {int(row[0], 16): row[1] for row in _rows("TRANSPORT.md", "3. Frames")[2:]}
    assert documented == {int(kind): kind.name for kind in FrameType}


def test_every_packet_type_is_documented_under_its_number() -> None:
    rows = _rows("TRANSPORT.md", "1. Packets")
    documented = {int(row[0]): row[1] for row in rows if row[0].isdigit() and row[1].isupper()}
    assert documented == {int(kind): kind.name for kind in PacketType}


def test_packets_that_a_state_does_not_expect_are_those_of_the_code() -> None:
    header, _, *states = _rows("TRANSPORT.md", "States")[:6]
    documented = {
        (row[0], kind) for row in states for kind, cell in zip(header[1:], row[1:], strict=True) if cell != "-"
    }
    handled = {(state.name, kind.name) for state, kind in _HANDLERS}
    # The short way of a DATA packet goes around the table.
    assert documented == handled | {("ESTABLISHED", "DATA")}


def test_message_types_keep_their_numbers() -> None:
    assert [(kind.value, kind.name) for kind in MessageType] == [
        (1, "HANDSHAKE"),
        (2, "HANDSHAKE_ACK"),
        (3, "HEARTBEAT"),
        (4, "PEER_DISCOVERY"),
        (5, "PEER_ANNOUNCEMENT"),
        (6, "GOSSIP_MESSAGE"),
        (7, "TRUST_UPDATE"),
        (8, "TRUSTED_PEERS_REQUEST"),
        (9, "TRUSTED_PEERS_RESPONSE"),
        (10, "DISCONNECT"),
        (11, "CUSTOM_DATA"),
        (12, "MEMBER"),
        (13, "SUSPECT"),
        (14, "DEAD"),
        (15, "LEAVE"),
    ]


def test_every_board_has_its_picture_and_three_questions() -> None:
    document = (_ROOT / "docs" / "DASHBOARDS.md").read_text()
    for board in BOARDS:
        section = document.split(f"\n## {board.title}\n", 1)[1].split("\n## ", 1)[0]
        assert section.count("?\n") == 3
        for folder in ("images", "images/grafana"):
            picture = _ROOT / "docs" / folder / f"{board.uid}.png"
            assert f"({folder}/{picture.name})" in section
            assert 10_000 < picture.stat().st_size <= 200_000


_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "failure": "error", "error": "error"}
_REPORTS = {"network_mismatch", "version_mismatch"}
"""What a dialler reports by the words of the handshake's refusal."""


def _logged(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Every event of a module: name, level, fields."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call):
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        words = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        fields = {one.arg for one in call.keywords if one.arg}
        if called == "Report":
            kinds = [
                one.value.value for one in call.keywords if one.arg == "kind" and isinstance(one.value, ast.Constant)
            ]
            yield from ((str(kind), "warning", {"text"}) for kind in kinds)
        elif called == "_report" and words:
            yield words[0], "warning", {"text"}
        elif called in _LEVELS and words and re.fullmatch("[a-z_]+", words[-1]):
            yield words[-1], _LEVELS[called], set() if "extra" in fields else fields


def test_every_event_of_the_log_is_in_its_document_with_its_level_and_fields() -> None:
    documented = {
        row[0].strip("`"): (row[1], set(re.findall("`([a-z_]+)`", row[2]))) for row in _rows("LOGS.md", "Events")[2:]
    }
    found: dict[str, tuple[str, set[str]]] = {kind: ("warning", {"text"}) for kind in _REPORTS}
    for path in sorted((_ROOT / "node").rglob("*.py")):
        for name, level, fields in _logged(path):
            known_level, known_fields = found.get(name, (level, set()))
            assert known_level == level, f"{name} has two levels"
            found[name] = (level, known_fields | fields)
    assert documented.keys() == found.keys()
    for name, (level, fields) in found.items():
        assert documented[name][0] == level, name
        assert documented[name][1] >= fields, name
