"""What is fuzzed: one function per door through which bytes come in.

Each takes the fuzzer's input and raises only if a promise was broken: decoding raises `DecodeError` alone, nothing else
escapes, and bytes that nobody authenticated change nothing. `scripts/fuzz/run` searches with them;
`tests/fuzz/test_targets.py` replays the corpus. Nothing here imports pytest, which the fuzzer does not have.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.targets.datagram import fuzz_datagram
from tests.fuzz.targets.frames import fuzz_frames
from tests.fuzz.targets.handshake import fuzz_handshake
from tests.fuzz.targets.messages import fuzz_messages
from tests.fuzz.targets.tcp import fuzz_tcp

__all__ = ["TARGETS"]

TARGETS: dict[str, Callable[[bytes], None]] = {
    "datagram": fuzz_datagram,
    "frames": fuzz_frames,
    "handshake": fuzz_handshake,
    "messages": fuzz_messages,
    "tcp": fuzz_tcp,
}
