"""Builds the wheel of the project with its pure core compiled by mypyc, and unpacks it for PYTHONPATH.

Compiled is what the contract "The core is pure" of pyproject.toml names, and the simulator's inner loop. Everything is
made in a directory beside the destination, which takes its place when it is complete. `scripts/compile` runs this.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import shlex
import shutil
import signal
import sys
import sysconfig
import tempfile
import tomllib
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STAMP = "compiled-from"
"""Holds the digest of all that the build depends on; a directory without it is none of ours."""

SIMULATOR = ("clock", "network", "nodes", "steps", "streams", "world")

INTERPRETED = {
    "node.errors": "classes with two bases among the built-in exceptions have no native form",
    "node.crypto.aead": "node/sim/cheap.py replaces methods of its class",
    "node.crypto.noise": "copies objects that have no dictionary",
    "node.transport.settings": "says itself which kind of value a setting has",
    "node.crypto.suites": "its cipher is derived from one of node.crypto.aead",
}
"""What stays interpreted of the pure core, and why."""


class Impossible(Exception):
    """It cannot be compiled here; the text says why and what helps."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/compile", usage="scripts/compile [DIRECTORY] | --list | --help")
    parser.add_argument("directory", nargs="?", type=Path, default=ROOT / "out/compiled")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print(*modules(), sep="\n")
        return 0
    directory: Path = arguments.directory.absolute()
    if directory.exists() and not (directory / STAMP).is_file() and not is_empty(directory):
        parser.error(f"DIRECTORY: {directory} is there and was not made by scripts/compile; give an empty or a new one")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        bring_up_to_date(directory)
    except KeyboardInterrupt:
        say("interrupted; nothing was left behind")
        return 130
    except (Impossible, OSError) as error:
        say(str(error))
        return 1
    (wheel,) = directory.glob("*.whl")
    print(
        f"Use it so: PYTHONPATH={shlex.quote(str(directory))} positron run; or: pip install {shlex.quote(str(wheel))}"
    )
    return 0


def say(text: str) -> None:
    print(f"scripts/compile: {text}", file=sys.stderr, flush=True)


def is_empty(directory: Path) -> bool:
    return directory.is_dir() and not any(directory.iterdir())


def modules() -> list[str]:
    """Names of the modules that are compiled, sorted."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = (one for one in contracts if one["name"] == "The core is pure")
    shells = {line.split(" -> ")[0] for line in pure["ignore_imports"]}
    found = [f"node.sim.{name}" for name in SIMULATOR]
    for name in pure["source_modules"]:
        path = ROOT / name.replace(".", "/")
        found += [
            ".".join(file.relative_to(ROOT).with_suffix("").parts)
            for file in (path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")])
            if file.name != "__init__.py"
        ]
    return sorted(set(found) - shells - INTERPRETED.keys())


def bring_up_to_date(directory: Path) -> None:
    """Compiles unless `directory` holds what would come out; it is replaced as a whole, or stays as it was."""
    digest = digest_of_sources()
    stamp = directory / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        say(f"{directory} is up to date")
        return
    look_for_tools()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{directory.name}.", dir=directory.parent) as made:
        work, product = Path(made, "work"), Path(made, "product")
        copy_sources(work)
        with contextlib.chdir(work):
            build(product)
        (wheel,) = product.glob("*.whl")
        zipfile.ZipFile(wheel).extractall(product)
        (product / STAMP).write_text(digest)
        if directory.exists():
            directory.rename(Path(made, "before"))
        product.rename(directory)


def digest_of_sources() -> str:
    """Changes with every file of the package, the tools, the Python and the compiler."""
    digest = hashlib.sha256(repr((sys.version, sysconfig.get_platform(), compiler())).encode())
    for path in [*package(), ROOT / "pyproject.toml", ROOT / "requirements/test.txt", Path(__file__)]:
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def package() -> list[Path]:
    return sorted(p for p in (ROOT / "node").rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def copy_sources(work: Path) -> None:
    for path in [*package(), *(ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE"))]:
        target = work / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def compiler() -> str:
    return os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")


def look_for_tools() -> None:
    """Impossible, if there is no C compiler or there are no headers of this Python."""
    program = shlex.split(compiler())[0]
    if shutil.which(program) is None:
        raise Impossible(
            f"no C compiler: {program} is not on PATH (on Debian: apt-get install gcc; or name one with CC)"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise Impossible(f"no headers of Python: {header} is not there (on Debian: apt-get install python3-dev)")


def build(product: Path) -> None:
    """Writes the wheel of the sources in the current directory."""
    import setuptools  # before mypyc, which looks whether it is there
    from mypyc.build import mypycify
    from setuptools.command.build_ext import build_ext

    class Build(build_ext):
        """Compiles on all processors, and says how far it is."""

        def build_extensions(self) -> None:
            one_by_one: Any = self.compiler.compile
            total, done = sum(len(extension.sources) for extension in self.extensions), count(1)

            def compile_all(files: list[str], **options: object) -> list[str]:
                objects: list[str] = []
                with ThreadPoolExecutor(os.cpu_count()) as pool:
                    pending = [pool.submit(one_by_one, [file], **options) for file in files]
                    try:
                        for each in pending:
                            objects += each.result()
                            progress(next(done), total)
                    finally:
                        pool.shutdown(cancel_futures=True)
                return objects

            self.compiler.compile = compile_all  # type: ignore[method-assign]
            super().build_extensions()

    warnings.simplefilter("ignore")  # about setup.py, of which there is none
    paths = [f"{name.replace('.', '/')}.py" for name in modules()]
    say(f"translating {len(paths)} modules to C")
    printed = io.StringIO()  # mostly how it translates generators
    try:
        with contextlib.redirect_stdout(printed):
            extensions = mypycify(paths, opt_level="1", debug_level="0", multi_file=True, group_name="positron")
        printed.truncate(0)
        say("compiling them")
        setuptools.setup(
            packages=[".".join(p.parts) for p in [Path("node"), *Path("node").rglob("*")] if p.is_dir()],
            package_data={"": ["*"]},
            ext_modules=extensions,
            cmdclass={"build_ext": Build},
            script_args=["--quiet", "bdist_wheel", "--dist-dir", str(product.resolve())],
        )
    except SystemExit as ending:  # what both end with after they have said why
        if ending.code == "interrupted":  # setuptools' word for it
            raise KeyboardInterrupt from None
        if ending.code:
            reason = ending.code if isinstance(ending.code, str) else printed.getvalue()
            raise Impossible(f"the sources could not be compiled: {reason}") from None


def progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done % 25 == 0 or done == total:
        say(f"{done} of {total}")


if __name__ == "__main__":
    sys.exit(main())
