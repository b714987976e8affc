"""What the operating system says about this process: memory, processor time, open files, start.

Knows nothing of the node. Reads `/proc` (Linux); where a value is not to be had it is None and its series is absent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["ProcessReading", "read_process"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReading:
    """The process now. cpu: seconds of user and system time. started: Unix time in seconds, resolution 10 ms."""

    cpu: float | None
    resident: int | None
    open_files: int | None
    started: float | None


def read_process() -> ProcessReading:
    """The process that calls, measured now; four system calls or so."""
    times = os.times()
    return ProcessReading(
        cpu=times.user + times.system, resident=_resident(), open_files=_open_files(), started=_started()
    )


def _resident() -> int | None:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def _open_files() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None


def _boot_time() -> float | None:
    try:
        with open("/proc/stat", "rb") as file:
            for line in file:
                if line.startswith(b"btime "):
                    return float(line.split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return None


def _read_started() -> float | None:
    boot = _boot_time()
    try:
        with open("/proc/self/stat", "rb") as file:
            # The second field is the name of the program in parentheses and may itself hold spaces.
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
    return None if boot is None else boot + ticks / _TICKS_PER_SECOND


_start: list[float | None] = []


def _started() -> float | None:
    if not _start:
        _start.append(_read_started())
    return _start[0]
