"""The fuzz targets hold for the committed corpus and for mutations of it; `scripts/fuzz/run` searches for more.

The corpus is what the fuzzer found to cover something of its own, and what once broke a promise.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.targets.all import TARGETS

CORPUS = Path(__file__).parent / "corpus"
MUTANTS = 150
CASES = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_corpus_that_reaches_each_of_its_doors(name: str) -> None:
    first_bytes = {path.read_bytes()[:1] for found, path in CASES if found == name}
    assert len(first_bytes) >= 4


@pytest.mark.parametrize(("name", "path"), CASES, ids=[f"{name}-{path.name}" for name, path in CASES])
def test_the_corpus_breaks_no_promise(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.must("M5")
def test_mutations_of_the_corpus_break_no_promise(name: str) -> None:
    random = Random(f"mutants of {name}")
    pool = [path.read_bytes() for found, path in CASES if found == name]
    for _ in range(MUTANTS):
        data = bytearray(random.choice(pool))
        for _ in range(random.randrange(1, 8)):
            position = random.randrange(len(data) + 1)
            if random.randrange(2) and position < len(data):
                data[position] ^= 1 << random.randrange(8)
            else:
                data[position:] = random.choice(pool)[position:]
        TARGETS[name](bytes(data))
