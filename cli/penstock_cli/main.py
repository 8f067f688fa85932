"""The commands. What a command needs is imported when it runs, so that ``--help`` is quick."""

import sys
from typing import Annotated

import typer

from penstock_cli import budget, commands, escalations, exits, options, rollouts, tasks
from penstock_cli.group import Group

app = typer.Typer(
    cls=Group,
    name="penstock",
    help="Runs LLM agents on Kubernetes: immutable revisions, gradual rollout, automatic rollback.",
    epilog=exits.MEANING,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
rollouts.register(app)
app.add_typer(tasks.app, name="tasks")
app.add_typer(escalations.app, name="escalations")
app.add_typer(budget.app, name="budget")


@app.command(epilog=exits.MEANING)
@options.at_gateway
def run(  # noqa: PLR0913 - a command's options are its arguments
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    text: Annotated[
        str, typer.Argument(metavar="INPUT", help="What it is asked; - reads standard input.")
    ],
    *,
    user: Annotated[str, typer.Option(help="For whom; each user stays on one revision.")] = "",
    session: Annotated[str, typer.Option(help="A conversation to go on with.")] = "",
    revision: Annotated[
        str,
        typer.Option(
            help=f"A preview on this one ({options.A_REVISION}), which counts in no comparison; its tools are really called."
        ),
    ] = "",
    wait: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds to wait for the end; 0 only submits.")
    ] = 300,
    output: Annotated[
        str,
        options.printed_as("text", "json", "yaml", help="The answer, or the task."),
    ] = "text",
) -> None:
    """Ask an agent, tell what happens on standard error, and print its answer."""
    from penstock_cli import asking

    said = _read_input() if text == "-" else text
    for what, given in (
        ("INPUT", said),
        ("--user", user),
        ("--session", session),
        ("--revision", revision),
        ("AGENT", agent),
    ):
        options.check_text(what, given)
    question = asking.Question(agent, said, user, session, revision)
    commands.carry_out(lambda: asking.ask(place, question, wait, output))


@app.command("effects", epilog=exits.MEANING)
@options.at_gateway
def show_effects(
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    revision: Annotated[str, typer.Option(help=f"Only of this one: {options.A_REVISION}.")] = "",
    task: Annotated[str, typer.Option(help="Only of the task of this id.")] = "",
    user: Annotated[str, typer.Option(help="Only of tasks for this user.")] = "",
    output: options.Output = "text",
) -> None:
    """Show what an agent's calls of tools have done, the unknown ones first."""
    from penstock_cli import effects

    given = {"AGENT": agent, "--revision": revision, "--task": task, "--user": user}
    for what, text in given.items():
        options.check_text(what, text)
    wanted = effects.Wanted(agent, revision, task, user)
    commands.carry_out(lambda: effects.show(place, wanted, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def verify(
    place: options.Place,
    rollout: Annotated[
        str, typer.Argument(metavar="ROLLOUT", help="Its name, or that of its Agent.")
    ],
    revision: Annotated[
        str,
        typer.Option(
            help=f"{options.A_REVISION}; else the canary, else the last of which something was decided."
        ),
    ] = "",
    output: options.Output = "text",
) -> None:
    """Make each recorded decision on a revision again from the outcome rows, and say where it differs."""
    options.check_text("ROLLOUT", rollout)
    options.check_text("--revision", revision)
    from penstock_cli import verifying

    commands.carry_out(lambda: verifying.verify(place, rollout, revision, output))


@app.command(epilog=exits.MEANING_OF_PLAN)
@options.at_gateway
def plan(
    place: options.Place,
    source: Annotated[
        list[str],
        typer.Option(
            "-f",
            "--filename",
            metavar="FILE|DIR|-",
            help="Manifests: a file, the files of a directory, or - for standard input; may be repeated.",
        ),
    ],
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no cluster: check what can be checked here.")
    ] = False,
    server_side: Annotated[
        bool, typer.Option("--server-side", help="As kubectl apply --server-side would.")
    ] = False,
    output: options.Output = "text",
) -> None:
    """Say what an apply would do, and do nothing: changes, revisions, rollouts, refusals, costs."""
    from penstock_cli.plan import command

    wanted = command.Wanted(tuple(source), output, offline=offline, server_side=server_side)
    commands.carry_out(lambda: command.plan(place, wanted))


@app.command("models", epilog=exits.MEANING)
@options.at_gateway
def show_models(
    place: options.Place,
    agent: Annotated[
        str, typer.Argument(metavar="[AGENT]", help="Its name; else all of the namespace.")
    ] = "",
    *,
    everywhere: options.AllNamespaces = False,
    output: options.Output = "text",
) -> None:
    """Show the models that Agents ask: who is away, what may be asked, what it costs and has cost."""
    options.check_text("AGENT", agent)
    if agent and everywhere:
        raise typer.BadParameter("give AGENT or --all-namespaces, and not both")
    from penstock_cli import models

    commands.carry_out(lambda: models.show(place, agent, output, everywhere=everywhere))


@app.command("compensate", epilog=exits.MEANING)
@options.at_gateway
def compensate(
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    revision: Annotated[
        str,
        typer.Option(
            help=f"Calls of this one: its whole name or hash; with --dry-run {options.A_REVISION}."
        ),
    ] = "",
    effect: Annotated[
        str,
        typer.Option(help="This call alone, as penstock effects shows it: TASK.REPLY.POSITION."),
    ] = "",
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be called; call nothing.")
    ] = False,
    was_made: Annotated[
        bool,
        typer.Option(
            "--was-made",
            help="With --effect: the call was made, though nobody has written it down.",
        ),
    ] = False,
    output: options.Output = "text",
) -> None:
    """Undo what calls have done, each once, by the tool that `compensate` names, on the stable revision."""
    if bool(revision) == bool(effect):
        raise typer.BadParameter("give --revision or --effect, and not both")
    if was_made and not effect:
        raise typer.BadParameter("goes with --effect", param_hint="--was-made")
    from penstock_cli import compensating

    for what, text in {"AGENT": agent, "--revision": revision, "--effect": effect}.items():
        options.check_text(what, text)
    wanted = compensating.Wanted(agent, revision, effect, dry_run=dry_run, was_made=was_made)
    commands.carry_out(lambda: compensating.compensate(place, wanted, output))


@app.command("copies", epilog=exits.MEANING)
@options.at_gateway
def show_copies(
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    revision: Annotated[str, typer.Option(help=f"{options.A_REVISION}; else the canary.")] = "",
    output: options.Output = "text",
) -> None:
    """Show on which calls copies of tasks went another way than stable's, by tool and digest."""
    for what, text in {"AGENT": agent, "--revision": revision}.items():
        options.check_text(what, text)
    from penstock_cli import copying

    commands.carry_out(lambda: copying.show(place, agent, revision, output))


@app.command("erase", epilog=exits.MEANING)
@options.at_gateway
def erase(
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="As the tasks name him.")],
    *,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    output: options.Output = "text",
) -> None:
    """Erase a user of your tenant from what an agent keeps: ended tasks, own sessions, whom calls were for."""
    for what, text in {"AGENT": agent, "USER": user}.items():
        options.check_text(what, text)
    if not user:
        raise typer.BadParameter("names nobody", param_hint="USER")
    from penstock_cli import erasing

    commands.carry_out(lambda: erasing.erase(place, agent, user, output, is_sure=is_sure))


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    options_metavar="VERB [OPTIONS]",
)
def dev(context: typer.Context) -> None:
    """Run the local environment: up, status, down, logs, traffic, demo (dev --help: all verbs)."""
    if context.args[:1] == ["demo"]:
        from penstock_dev.demo import __main__ as demo

        raise typer.Exit(demo.main(context.args[1:]))
    from penstock_dev import __main__ as verbs

    raise typer.Exit(verbs.main(context.args, program=context.command_path))


@app.command()
def version() -> None:
    """Print the version."""
    print(_version())


def _show_version(*, shown: bool) -> None:
    if shown:
        print(_version())
        raise typer.Exit


@app.callback()
def main(
    *,
    shown: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Runs LLM agents on Kubernetes: immutable revisions, gradual rollout, automatic rollback."""


def _version() -> str:
    from importlib import metadata

    return f"penstock {metadata.version('penstock')}"


def plugin() -> None:
    """The same commands as ``kubectl penstock``: kubectl runs ``kubectl-penstock`` on the PATH."""
    app(prog_name="kubectl penstock")


def _read_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
