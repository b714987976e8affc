"""Where configuration comes from: defaults < TOML file < environment < flags, with the origin of each value.

The only module of the package that reads the environment and configuration files. Every mistake in every source is
found before anything is raised; a source's mistakes never hide another's.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from node.config.fields import ENVIRONMENT_PREFIX, FIELDS
from node.config.kinds import Unacceptable
from node.config.network import ConflictError, NetworkConfig, derived_from, describe
from node.config.reading import read_file
from node.errors import ConfigError

__all__ = ["CONFIG_VARIABLE", "NO_VALUE", "URL_VARIABLE", "Loaded", "load", "nearest"]

CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
URL_VARIABLE = ENVIRONMENT_PREFIX + "URL"

NO_VALUE = "\0"
"""Stands for the text of a flag that was given without one; no value can hold it."""

_CONFIG_FILE_BYTES_MAX = 1 << 20
"""A configuration has a few lines; a device or a log file given by mistake must not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration and where each of its values came from.

    origins: per field `default`, `derived from port`, `profile testnet`, `file PATH`, `environment NAME`, `flag NAME`.
    """

    config: NetworkConfig
    origins: Mapping[str, str]


@dataclass(slots=True)
class _Draft:
    """What has been read so far. rejected: names of fields whose last value was impossible."""

    values: dict[str, object]
    origins: dict[str, str]
    rejected: dict[str, None]
    problems: list[str]

    def take(self, name: str, value: object, origin: str, convert: Callable[..., object]) -> None:
        """Takes one value from one source; a later source overrides an earlier one."""
        try:
            self.values[name] = convert(value)
        except Unacceptable:
            self.problems.append(f"{origin}: {describe(name, value)}")
            self.rejected[name] = None
        else:
            self.origins[name] = origin


def load(
    *,
    flags: Mapping[str, str] | None = None,
    path: str | None = None,
    environment: Mapping[str, str] | None = None,
    unknown_flags: Sequence[str] = (),
) -> Loaded:
    """The effective configuration.

    flags: field name to text, those given only. path: the configuration file; without it POSITRON_CONFIG names it,
    if set. environment: `os.environ` unless given. unknown_flags: what the command line could not place; reported
    with everything else. Raises ConfigError with one line per mistake.
    """
    variables = os.environ if environment is None else environment
    draft = _Draft({}, {}, {}, [])
    path = path if path is not None else variables.get(CONFIG_VARIABLE) or None
    if path is not None:
        _take_file(draft, path)
    _take_environment(draft, variables)
    for name, text in (flags or {}).items():
        if text == NO_VALUE:
            draft.problems.append(f"flag {FIELDS[name].flag} needs a value: allowed is {FIELDS[name].kind.allowed}")
            draft.rejected[name] = None
            continue
        draft.take(name, text, f"flag {FIELDS[name].flag}", FIELDS[name].kind.from_text)
    for flag in unknown_flags:
        what = "flag" if flag.startswith("-") else "argument"
        draft.problems.append(_unknown(what, flag, [field.flag for field in FIELDS.values()]))
    return _finish(draft)


def nearest(name: str, names: Sequence[str]) -> str:
    """The valid name most like this one, or "" when none is near."""
    matches = get_close_matches(name, names, n=1, cutoff=0.5)
    return matches[0] if matches else ""


def _take_file(draft: _Draft, path: str) -> None:
    origin = f"file {path}"
    try:
        content = read_file(path, _CONFIG_FILE_BYTES_MAX)
        if len(content) > _CONFIG_FILE_BYTES_MAX:
            draft.problems.append(f"{origin}: larger than {_CONFIG_FILE_BYTES_MAX} bytes")
            return
        table = tomllib.loads(content.decode())
    except OSError as error:
        draft.problems.append(f"{origin}: cannot be read: {error.strerror or error}")
        return
    except UnicodeDecodeError as error:
        draft.problems.append(f"{origin}: not UTF-8 at byte {error.start}")
        return
    except RecursionError:
        draft.problems.append(f"{origin}: nested too deeply")
        return
    except ValueError as error:  # beside errors of form, a number that is too long for any field
        draft.problems.append(f"{origin}: not TOML: {error}")
        return
    for key, value in table.items():
        if key in FIELDS:
            draft.take(key, value, origin, FIELDS[key].kind.check)
        else:
            draft.problems.append(_unknown(f"{origin}: key", key, list(FIELDS)))


def _take_environment(draft: _Draft, variables: Mapping[str, str]) -> None:
    by_variable = {field.variable: field for field in FIELDS.values()}
    for variable in sorted(variables):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in (CONFIG_VARIABLE, URL_VARIABLE):
            continue
        field = by_variable.get(variable)
        if field is None:
            valid = [*by_variable, CONFIG_VARIABLE, URL_VARIABLE]
            draft.problems.append(_unknown("environment: variable", variable, valid))
        else:
            draft.take(field.name, variables[variable], f"environment {variable}", field.kind.from_text)


def _unknown(what: str, name: str, valid: Sequence[str]) -> str:
    near = nearest(name, valid)
    return f"{what} {name!r} is unknown" + (f"; nearest is {near}" if near else "")


def _finish(draft: _Draft) -> Loaded:
    config = None
    try:
        config = NetworkConfig(**draft.values)  # type: ignore[arg-type]  # each value came out of its own kind
    except ConflictError as error:
        for conflict in error.conflicts:
            if not any(name in draft.rejected for name in conflict.names):
                origins = ", ".join(f"{name}: {_origin(draft, name)}" for name in conflict.names)
                draft.problems.append(f"{conflict.text} ({origins})")
    if draft.problems or config is None:
        raise ConfigError(draft.problems)
    return Loaded(config=config, origins={name: _origin(draft, name) for name in FIELDS})


def _origin(draft: _Draft, name: str) -> str:
    if name in draft.origins:
        return draft.origins[name]
    source = derived_from(name)
    if source == "profile":
        return f"profile {draft.values.get('profile', 'default')}"
    return f"derived from {source}" if source else "default"
