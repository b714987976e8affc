"""Large blocks stay apart from the heap, also after one was freed, and no certificates are read."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys
from node.cli.heap import map_large_blocks

class Figures(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks a b c d e f".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Figures
if sys.argv[1] == "asked":
    map_large_blocks()
del [bytearray(8 << 20)][:]
before = libc.mallinfo2().hblks
blocks = [bytearray(200_000) for _ in range(5)]
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library tells nothing of its mappings")
@pytest.mark.parametrize(("word", "mapped"), [("asked", "5"), ("as it is", "0")])
def test_large_blocks_are_mapped_also_after_one_was_freed(word: str, mapped: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mapped


CERTIFICATES = """
import os, ssl
from node.cli.heap import without_certificates
found = []
load = ssl.SSLContext.load_default_certs
def note(context, *arguments):
    load(context, *arguments)
    found.append(context.cert_store_stats()["x509"])
ssl.SSLContext.load_default_certs = note
os.environ["SSL_CERT_FILE"] = "/mine"
with without_certificates():
    import node.cli.run
print(*found, os.environ["SSL_CERT_FILE"])
"""


def test_a_node_reads_no_certificates_and_leaves_the_environment_as_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", CERTIFICATES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "/mine"]
