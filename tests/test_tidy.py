"""Holds the tree to the limits of the style guide in CONTRIBUTING.md that no linter checks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6

PURE = ("errors", "types", "wire", "identity", "crypto", "messages", "transport", "peers", "gossip", "trust", "core")
VAGUE_NAMES = frozenset({"common", "data", "helper", "helpers", "manager", "misc", "util", "utils"})

# A module with nothing to test of its own: values without behaviour, covered through what uses them.
WITHOUT_TESTS = frozenset(
    {"__init__", "__main__", "errors", "events", "limits", "settings", "snapshot", "stats", "types"}
)

# Parts that make sense only within a whole, and the tests of the whole that cover them.
BOARDS = ("gossip", "link", "links", "names", "node", "overview")
COVERED_BY = {
    **{f"node/testnet/boards/{name}.py": "tests/grafana/test_boards.py" for name in BOARDS},
    "node/gossip/actions.py": "tests/gossip/test_gossip.py",
    "node/peers/actions.py": "tests/peers/test_peers.py",
    "node/storage/files.py": "tests/storage/test_state_crashes.py",
    "node/trust/actions.py": "tests/trust/test_trust.py",
    "node/transport/congestion/base.py": "tests/transport/congestion/test_newreno.py",
}

SLEEP = re.compile(r"((time|asyncio)\.)?sleep\((?!0\))")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# What must not stand in any file of the project: the pattern, where to look, and the words for the one who reads.
PATTERNS = [
    (r"(^|[\s\"'=:(])/(work|farm|root|Users)/\w", r".*", "a path of one machine"),
    (r"--(extra-)?index-url|https?://[^\s\"')]+/simple\b|\"resolved\": *\"http", r".*", "the address of an index"),
    (r"docker\.sock|privileged: *true|(network_mode|pid|ipc): *\"?host", r"(docker|Dockerfile).*", "host access"),
    (r"0\.0\.0\.0:[^\s:]+:\d+|^ +- \"?\d+:\d+\"?\s*$", r"docker-compose.*\.ya?ml", "a port on every interface"),
    (r"(?i)(password|secret)\w*: *[\"']?[^\s\"'{$]", r"docker-compose.*\.ya?ml", "a secret with a default"),
    (r"@sha256:|:latest\b", r"Dockerfile|docker-compose.*\.ya?ml", "an image without a readable, fixed tag"),
    (r"\bxfail\(\s*\)|\bskip\(\s*\)", r"tests/.*\.py", "a test left out without a reason"),
]


@cache
def tracked(pattern: str = "*") -> tuple[Path, ...]:
    """Files of the project, also such as are not added yet; never what the tools leave behind."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in sorted(set(listed.split("\0")) - {""}) if (path := ROOT / name).is_file())


def python_files(*roots: str) -> list[Path]:
    return [path for path in tracked("*.py") if not roots or path.relative_to(ROOT).parts[0] in roots]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (found for found in ast.walk(tree_of(path)) if isinstance(found, FUNCTIONS))


def at(path: Path, line: int | ast.stmt | ast.expr = 0) -> str:
    number = line if isinstance(line, int) else line.lineno
    return f"{path.relative_to(ROOT)}:{number}" if number else str(path.relative_to(ROOT))


def complain(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def is_pure(path: Path) -> bool:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] == "node" and len(parts) > 1 and parts[1] in PURE


# -------------------------------------------------------------------------------------------------------------- limits


def test_files_fit_in_one_sitting() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in python_files()}
    complain([f"{at(path)}: {n} lines, at most {FILE_LINES_MAX}" for path, n in sizes.items() if n > FILE_LINES_MAX])


def test_functions_are_short() -> None:
    problems = []
    for path in python_files():
        for function in functions(path):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                problems.append(
                    f"{at(path, function)}: {function.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
                )
    complain(problems)


def test_functions_take_few_parameters() -> None:
    problems = []
    for path in python_files("node", "scripts"):
        for function in functions(path):
            named = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            count = len([argument for argument in named if argument.arg not in ("self", "cls")])
            if count > PARAMETERS_MAX:
                problems.append(f"{at(path, function)}: {function.name} takes {count}, at most {PARAMETERS_MAX}")
    complain(problems)


# ------------------------------------------------------------------------------------------------------- what is there


def test_every_module_says_what_it_is_for() -> None:
    # A file of tests says it with their names.
    modules = [path for path in python_files() if not path.name.startswith("test_") and tree_of(path).body]
    complain([at(path) for path in modules if not ast.get_docstring(tree_of(path))])


def test_every_module_has_tests_at_the_same_place() -> None:
    problems = []
    for path in python_files("node"):
        relative = path.relative_to(ROOT / "node")
        if path.stem in WITHOUT_TESTS or not tree_of(path).body:
            continue
        # A module may have several: test_connection.py, test_connection_close.py.
        tests = COVERED_BY.get(at(path), f"tests/{relative.parent}/test_{path.stem}*.py")
        if not list(ROOT.glob(tests)):
            problems.append(f"{at(path)}: no {tests}")
    problems += [f"{name} is not there, but in COVERED_BY" for name in COVERED_BY if not (ROOT / name).is_file()]
    complain(problems)


def test_modules_are_named_for_what_they_do() -> None:
    complain([at(path) for path in python_files("node") if path.stem in VAGUE_NAMES])


def test_the_core_never_iterates_a_set() -> None:
    problems = []
    for path in filter(is_pure, python_files("node")):
        for found in ast.walk(tree_of(path)):
            if isinstance(found, (ast.For, ast.comprehension)) and _is_set(found.iter):
                problems += [f"{at(path, found.iter)}: its order depends on the hash seed"]
    complain(problems)


def _is_set(expression: ast.expr) -> bool:
    if isinstance(expression, ast.Call):
        return isinstance(expression.func, ast.Name) and expression.func.id in ("set", "frozenset")
    return isinstance(expression, (ast.Set, ast.SetComp))


def test_no_error_is_caught_broadly() -> None:
    problems = []
    for path in python_files():
        for found in ast.walk(tree_of(path)):
            if isinstance(found, ast.ExceptHandler) and not _names(found.type).isdisjoint({"", "Exception"}):
                problems.append(f"{at(path, found.lineno)}: catches whatever comes")
            if isinstance(found, ast.ExceptHandler) and "BaseException" in _names(found.type) and not _raises(found):
                problems.append(f"{at(path, found.lineno)}: catches even what ends the program, and goes on")
    complain(problems)


def _names(expression: ast.expr | None) -> set[str]:
    if expression is None:
        return {""}
    parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _raises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise)


def test_tests_wait_for_events_and_never_for_time() -> None:
    problems = []
    for path in python_files("tests"):
        for found in ast.walk(tree_of(path)):
            # asyncio.sleep(0) waits for nothing: it lets the other tasks run once.
            if isinstance(found, ast.Call) and SLEEP.match(ast.unparse(found)):
                problems += [f"{at(path, found)}: wait for the event instead"]
    complain(problems)


@pytest.mark.parametrize(("pattern", "files", "meaning"), PATTERNS, ids=[meaning for *_, meaning in PATTERNS])
def test_the_tree_does_not_contain(pattern: str, files: str, meaning: str) -> None:
    problems = []
    for path in tracked():
        if not re.fullmatch(files, str(path.relative_to(ROOT))) or path == Path(__file__):
            continue
        lines = path.read_text(errors="replace").splitlines()
        problems += [
            f"{at(path, n)}: {line.strip()[:100]}" for n, line in enumerate(lines, 1) if re.search(pattern, line)
        ]
    complain([f"{problem}  ({meaning})" for problem in problems])
