"""Former names of settings, which the command line and the environment still accept."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

PREFIX = "TELEWARP_"
"""Start of the names of environment variables."""


def rename_options(arguments: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return a command line with present names only.

    Args:
        arguments: The command line without the program name.
        names: Present name of a setting by its former one.
    """
    present = dict(_options(names))
    renamed = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        renamed.append(present.get(option, option) + equals + value)
    return renamed


def values_of_variables(names: Mapping[str, str]) -> dict[str, str]:
    """Return the values of variables with former names, by the present name of the setting."""
    variables = _environment()
    return {
        name: variables[variable_of(former)]
        for former, name in names.items()
        if variable_of(former) in variables
    }


def notices(arguments: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return a line for each former name in use, which gives the present one.

    Args:
        arguments: The command line without the program name.
        names: Present name of a setting by its former one.
    """
    given, variables = {argument.partition("=")[0] for argument in arguments}, _environment()
    used = [(former, present) for former, present in _options(names) if former in given]
    used += [
        (variable_of(former), variable_of(name))
        for former, name in names.items()
        if variable_of(former) in variables
    ]
    return [f"{former} is now called {present}; use the new name" for former, present in used]


def option_of(name: str) -> str:
    """Return the option of a setting on the command line."""
    return f"--{name.replace('_', '-')}"


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _options(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield former and present options, `--no-...` of switches too."""
    for former, name in names.items():
        yield option_of(former), option_of(name)
        yield option_of(f"no_{former}"), option_of(f"no_{name}")


def _environment() -> dict[str, str]:
    """Return the environment; names in capitals, as pydantic-settings ignores their case."""
    return {name.upper(): value for name, value in os.environ.items()}
