"""The options that say where things are: the same for every command, said once."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from penstock_cli import options
from penstock_cli.main import app

OF_CLUSTER = {"-n", "--namespace", "--state-dir", "--context", "--kubeconfig"}
OF_GATEWAY = OF_CLUSTER | {"--gateway", "--token", "--system-namespace"}


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(get_command(app)))


def flags(command):
    return {flag for parameter in command.params for flag in parameter.opts}


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"dev", "version"}))
def test_each_command_has_all_the_options_of_its_kind(name):
    found = flags(COMMANDS[name])
    assert found & OF_GATEWAY in (OF_GATEWAY, OF_CLUSTER)


FORMS = {
    name: found[0]
    for name, command in COMMANDS.items()
    if (found := [one for one in command.params if "--output" in one.opts])
}


def test_each_command_can_be_read_by_programs_and_prints_for_them_by_one_function():
    assert FORMS.keys() == COMMANDS.keys() - {"dev", "version"}
    sources = Path(options.__file__).parent.rglob("*.py")
    printing = {one.name for one in sources if re.search(r"json\.dumps\(.*indent", one.read_text())}
    assert printing == {"documents.py"}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_whatever_is_printed_for_programs_is_so_in_both_forms_and_in_no_other(name):
    form = FORMS[name]
    taken = form.metavar.split("|")
    assert taken[0] == "text"
    assert taken[-2:] == ["json", "yaml"]
    context = typer.Context(COMMANDS[name])
    assert [form.process_value(context, one) for one in taken] == taken
    with pytest.raises(typer.BadParameter, match="or yaml"):
        form.process_value(context, "xml")


def test_a_command_gets_them_as_one_and_its_own_beside():
    got = []

    @options.at_cluster
    def command(place: options.Place, name: str, *, often: int = 1) -> None:
        """What it does."""
        got.append((place, name, often))

    found = typer.Typer()
    found.command()(command)
    get_command(found)(["hello", "--context", "c", "-n", "shop"], standalone_mode=False)
    assert got == [(options.Place(namespace="shop", context="c"), "hello", 1)]
    assert inspect.getdoc(command) == "What it does."
