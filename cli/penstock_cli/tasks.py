"""``penstock tasks``: which tasks an agent has had, one of them, and its end. Imports when it runs."""

from typing import Annotated

import typer

from penstock_cli import commands, exits, options
from penstock_cli.group import Group

app = typer.Typer(
    cls=Group,
    help="An agent's newest tasks: what failed, why, and whom it touched.",
    epilog=exits.MEANING,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Identifier = Annotated[str, typer.Argument(metavar="ID", help="Id of the task.")]


@app.command("list", epilog=exits.MEANING)
@options.at_gateway
def list_tasks(  # noqa: PLR0913 - a command's options are its arguments
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    revision: Annotated[str, typer.Option(help=f"Only of this one: {options.A_REVISION}.")] = "",
    status: Annotated[
        list[str] | None, typer.Option(help="Only with this status; may be given several times.")
    ] = None,
    *,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that ended, and not as they should.")
    ] = False,
    reason: Annotated[
        list[str] | None, typer.Option(help="Only with this reason; may be given several times.")
    ] = None,
    user: Annotated[str, typer.Option(help="Only for this user.")] = "",
    since: Annotated[
        str, typer.Option(help="Only submitted since: 90s, 10m, 1h, 2d, or RFC 3339.")
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="At most so many; 0: all. Else 50, and all with --by."),
    ] = None,
    by: Annotated[
        str,
        typer.Option(metavar="FIELD", help="Count them by reason, user, revision or status."),
    ] = "",
    wide: Annotated[bool, typer.Option("--wide", help="With the message of each end.")] = False,
    output: Annotated[str, options.printed_as("text", "wide", "json", "yaml")] = "text",
) -> None:
    """List an agent's newest tasks, newest first."""
    from datetime import UTC, datetime

    from penstock_cli import listing

    now = datetime.now(UTC)  # noqa: TID251 - a command is where the program begins
    for what, given in (("AGENT", agent), ("--revision", revision), ("--user", user)):
        options.check_text(what, given)
    wanted = listing.Wanted(
        agent, revision, tuple(status or ()), failed, tuple(reason or ()), user, since, limit
    )
    form = "text" if output == "wide" else output
    shown = listing.Shown(by, wide or output == "wide", form)
    commands.carry_out(lambda: listing.show_list(place, wanted, shown, now))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def get(
    place: options.Place,
    identifier: Identifier,
    output: options.Output = "text",
) -> None:
    """Show a task and what happened to it."""
    options.check_text("ID", identifier)
    from penstock_cli import listing

    commands.carry_out(lambda: listing.show(place, identifier, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def cancel(
    place: options.Place,
    identifier: Identifier,
    output: options.Output = "text",
) -> None:
    """Cancel a task: one that waits ends at once, one that runs at its next step."""
    options.check_text("ID", identifier)
    from penstock_cli import listing

    commands.carry_out(lambda: listing.cancel(place, identifier, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def retry(
    place: options.Place,
    identifier: Identifier,
    *,
    even_if_acted: Annotated[
        bool,
        typer.Option(
            "--even-if-acted",
            help="Also where it has made calls that change something: the new task may make them again.",
        ),
    ] = False,
    output: options.Output = "text",
) -> None:
    """Try an ended task again, as a new task with its input; said again, it is the same new one."""
    options.check_text("ID", identifier)
    from penstock_cli import listing

    commands.carry_out(
        lambda: listing.retry(place, identifier, output, even_if_acted=even_if_acted)
    )
