"""The key that ends what draws again and again on a terminal, as it does in other programs of the kind."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

__all__ = ["QUIT", "pauses"]

QUIT = b"q"


@contextmanager
def pauses() -> Iterator[Callable[[float], bool]]:
    """Yields a pause of so many seconds, which the key q cuts short; it tells whether that was so.

    Keys are read as they are pressed meanwhile, and not shown; the terminal is given back as it was. Without one, and
    in the background, a pause is a sleep.
    """
    if not _has_keyboard():
        yield _sleep
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        yield partial(_listen, keyboard)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _has_keyboard() -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return True  # a terminal that rules nobody's jobs


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _listen(keyboard: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not select.select([keyboard], [], [], left)[0]:
            break
        pressed = os.read(keyboard, 64)
        if QUIT in pressed:
            return True
        if not pressed:  # nobody sits there any more
            return _sleep(max(0.0, until - time.monotonic()))
    return False
