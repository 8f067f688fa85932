"""The commands about a rollout: see it, know why it does not move, steer it. Imports when they run."""

from typing import Annotated

import typer

from penstock_cli import commands, exits, options

_Rollout = Annotated[
    str, typer.Argument(metavar="ROLLOUT", help="Name of the AgentRollout, or of its Agent.")
]
_Steered = Annotated[
    str,
    typer.Argument(
        metavar="ROLLOUT",
        help="Name of the AgentRollout, or of its Agent, or of an Agent that has none.",
    ),
]
_Revision = Annotated[
    str,
    typer.Option("--revision", metavar="REVISION", help=f"{options.A_REVISION}; else the canary."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to those of ``penstock``."""
    for name, command in (
        ("get", get),
        ("explain", explain),
        ("set-percent", set_percent),
        ("pause", pause),
        ("resume", resume),
        ("promote", promote),
        ("abort", abort),
        ("retry", retry),
        ("undo", undo),
        ("history", history),
        ("diff", diff),
    ):
        app.command(name, epilog=exits.MEANING)(command)


@options.at_cluster
def get(
    place: options.Place,
    rollout: _Rollout,
    *,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Draw it anew as it moves.")] = False,
    output: options.Output = "text",
) -> None:
    """Show a rollout: who serves what share, its step and clock, the checks, revisions and pods."""
    if watch and output != "text":
        raise typer.BadParameter("goes with text alone", param_hint="--watch")
    from penstock_cli import views

    commands.carry_out(lambda: views.get(place, rollout, output, watch=watch))


@options.at_cluster
def explain(
    place: options.Place,
    rollout: _Rollout,
    *,
    whole: Annotated[
        bool, typer.Option("--all", help="Name the checks too that say nothing here.")
    ] = False,
    output: options.Output = "text",
) -> None:
    """Say why a rollout does not move: what each check says, and what to type."""
    from penstock_cli import views

    commands.carry_out(lambda: views.explain(place, rollout, output, whole=whole))


@options.at_cluster
@options.answered
def set_percent(
    place: options.Place,
    rollout: _Rollout,
    percent: Annotated[
        str, typer.Argument(metavar="PERCENT", help="0 to 100; auto: the steps go on.")
    ],
    *,
    revision: _Revision = "",
    answering: options.Answering,
) -> None:
    """Set the canary's share of new sessions, and keep it there."""
    wanted = None if percent == "auto" else _percent(percent)
    from penstock_cli import steering

    commands.carry_out(lambda: steering.set_percent(place, rollout, wanted, revision, answering))


@options.at_cluster
@options.answered
def pause(place: options.Place, rollout: _Rollout, *, answering: options.Answering) -> None:
    """Raise nothing by itself any more; rollback still acts."""
    _pause(place, rollout, answering, paused=True)


@options.at_cluster
@options.answered
def resume(place: options.Place, rollout: _Rollout, *, answering: options.Answering) -> None:
    """Let the steps of a paused rollout go on."""
    _pause(place, rollout, answering, paused=False)


@options.at_cluster
@options.answered
def promote(
    place: options.Place,
    rollout: _Rollout,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="All that is left: the canary serves everybody.")
    ] = False,
    revision: _Revision = "",
    answering: options.Answering,
) -> None:
    """Pass what the canary waits for now."""
    verb = "promote-full" if full else "promote"
    _ask(place, rollout, verb, revision, answering)


@options.at_cluster
@options.answered
def abort(
    place: options.Place,
    rollout: _Rollout,
    *,
    revision: _Revision = "",
    answering: options.Answering,
) -> None:
    """Take the canary off and reject it, until retry."""
    _ask(place, rollout, "abort", revision, answering)


@options.at_cluster
@options.answered
def retry(
    place: options.Place,
    rollout: _Steered,
    *,
    revision: _Revision = "",
    answering: options.Answering,
) -> None:
    """Give a rejected canary another attempt, from the first step."""
    _ask(place, rollout, "retry", revision, answering)


@options.at_cluster
@options.answered
def undo(
    place: options.Place,
    rollout: _Steered,
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="REVISION",
            help=f"{options.A_REVISION}; else the last that can be gone back to, which is stable "
            "while a canary is tried; without an AgentRollout it must be said.",
        ),
    ] = "",
    answering: options.Answering,
) -> None:
    """Have a former revision serve everybody again; who is left is rejected."""
    _ask(place, rollout, "undo", to, answering)


@options.at_cluster
def history(place: options.Place, rollout: _Rollout, *, output: options.Output = "text") -> None:
    """List the revisions on record, the newest first, with how each ended."""
    from penstock_cli import views

    commands.carry_out(lambda: views.history(place, rollout, output))


@options.at_cluster
def diff(
    place: options.Place,
    rollout: _Rollout,
    before: Annotated[
        str, typer.Argument(metavar="[BEFORE]", help=f"{options.A_REVISION}; else stable.")
    ] = "",
    after: Annotated[
        str, typer.Argument(metavar="[AFTER]", help=f"{options.A_REVISION}; else the canary.")
    ] = "",
    *,
    output: options.Output = "text",
) -> None:
    """Show what one revision declares and the other does not: template, and what it refers to."""
    for what, given in (("BEFORE", before), ("AFTER", after)):
        options.check_text(what, given)
    from penstock_cli import views

    commands.carry_out(lambda: views.diff(place, rollout, before, after, output))


def _pause(
    place: options.Place, rollout: str, answering: options.Answering, *, paused: bool
) -> None:
    from penstock_cli import steering

    commands.carry_out(lambda: steering.pause(place, rollout, answering, paused=paused))


def _ask(
    place: options.Place,
    rollout: str,
    verb: str,
    revision: str,
    answering: options.Answering,
) -> None:
    options.check_text("ROLLOUT", rollout)
    from penstock.rollout.requests import Verb
    from penstock_cli import steering

    commands.carry_out(lambda: steering.ask(place, rollout, Verb(verb), revision, answering))


def _percent(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 100:
        return int(text)
    raise typer.BadParameter("must be 0 to 100, or auto", param_hint="PERCENT")
