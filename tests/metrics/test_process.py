from __future__ import annotations

import os

from node.metrics.process import read_process


def test_this_process_is_read_from_the_system() -> None:
    reading = read_process()

    assert reading.cpu is not None
    assert reading.cpu > 0
    assert reading.resident is not None
    assert reading.resident > 1 << 20
    assert reading.open_files is not None
    assert reading.open_files >= 3
    assert reading.started is not None


def test_an_open_file_is_seen() -> None:
    before = read_process().open_files
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        after = read_process().open_files
    finally:
        os.close(descriptor)

    assert before is not None
    assert after == before + 1
