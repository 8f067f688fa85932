"""docs/reference/cli.md, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from penstock_cli import exits, options
from penstock_cli.main import app
from reference import table

HEADER = "<!-- Generated from penstock_cli by `make generate`. Do not edit. -->\n\n"
INTRODUCTION = """\
The same commands are `penstock …` and, where `kubectl-penstock` is on the PATH, `kubectl penstock …`. Those about rollouts and
`budget` speak to the API server, with kubectl and the rights of its user; `run`, `tasks`, `escalations`, `effects`,
`models` and `budget show` speak to the gateway, `verify` and `plan` to both; `models` without an Agent's name asks the API server which
there are. A command that changes an object of the cluster prints, on standard error, the kubectl command that
does the same. Colours are for terminals alone, and `NO_COLOR` takes them away. What a rollout is asked, and what is answered:
[requests](../operating/requests.md).
"""
PLACES = """\
Which cluster, and which gateway: what is not said is the local environment (`penstock dev up`) where one runs, else the
context of the kubeconfig. Commands of the API server take the first four.
"""
#: Options that no command of the API server takes.
OF_GATEWAY = ("gateway", "token", "system_namespace")


def commands(group: Any, path: str = "penstock") -> Iterator[tuple[str, Any]]:
    """Each command by what is typed for it, in the order of ``--help``."""
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def place_names() -> set[str]:
    """The options that say where things are, which have a table of their own."""
    return set(options.Place.__dataclass_fields__)


def typed(parameter: Any) -> str:
    """An option as it is typed."""
    metavar = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return " ".join(f"`{flag}{metavar}`" for flag in parameter.opts)


def default(parameter: Any) -> str:
    """What holds where it is not given."""
    value = parameter.default
    told = "" if value in (None, "", False, ()) else f"`{value}`"
    return f"{told} `${parameter.envvar}`".strip() if parameter.envvar else told or "–"


def rows(parameters: list[Any]) -> Iterator[list[str]]:
    """A row for each option."""
    for one in parameters:
        yield [typed(one), default(one), one.help or ""]


def section(name: str, command: Any) -> Iterator[str]:
    """One command: how it is typed, what it does, its arguments and its own options."""
    arguments = [one for one in command.params if isinstance(one, typer.core.TyperArgument)]
    own = [
        one
        for one in command.params
        if isinstance(one, typer.core.TyperOption)
        and one.name not in place_names()
        and one.name != "help"
    ]
    words = " ".join(one.metavar or one.name.upper() for one in arguments)
    yield f"## {name}\n"
    yield f"`{f'{name} {words}'.strip()}`: {command.help}\n"
    if arguments:
        told = [[f"`{one.metavar or one.name.upper()}`", one.help or ""] for one in arguments]
        yield table(["argument", "meaning"], iter(told))
    if own:
        yield table(["option", "default", "meaning"], rows(own))


def page() -> str:
    """The page."""
    found = dict(commands(get_command(app)))
    asked = found["penstock run"].params
    places = [one for one in asked if one.name in place_names()]
    order = list(options.Place.__dataclass_fields__)
    places.sort(key=lambda one: (one.name in OF_GATEWAY, order.index(one.name)))
    codes = [[f"{code.value}", meaning] for code, meaning in exits.MEANINGS.items()]
    planned = [[f"{code.value}", meaning] for code, meaning in exits.PLANNED.items()]
    parts = [
        "# The terminal\n",
        INTRODUCTION,
        "## Where things are\n",
        PLACES,
        table(["option", "default", "meaning"], rows(places)),
        "## Exit codes\n",
        table(["code", "meaning"], iter(codes)),
        "`penstock plan` ends as `kubectl diff` does, where a change is no error:\n",
        table(["code", "meaning"], iter(planned)),
    ]
    for name, command in found.items():
        parts += section(name, command)
    return HEADER + "\n".join(parts)
