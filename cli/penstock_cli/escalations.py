"""``penstock escalations``: what waits for a person, and the person's word. Imports when it runs."""

from typing import Annotated

import typer

from penstock_cli import commands, exits, options
from penstock_cli.group import Group

app = typer.Typer(
    cls=Group,
    help="Calls that wait for a person: see them, and decide.",
    epilog=exits.MEANING,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Identifier = Annotated[str, typer.Argument(metavar="ID", help="Id of the escalation.")]
Digest = Annotated[
    str,
    typer.Option(
        help="Digest of the call that is meant, as show prints it; asked for where Redis may have lost "
        "what became of it."
    ),
]
Note = Annotated[str, typer.Option(help="Why; of a denied call the model reads it.")]


@app.command("list", epilog=exits.MEANING)
@options.at_gateway
def list_escalations(
    place: options.Place,
    agent: Annotated[str, typer.Argument(metavar="[AGENT]", help="Only of this one.")] = "",
    tool: Annotated[str, typer.Option(help="Only calls of this tool.")] = "",
    user: Annotated[str, typer.Option(help="Only of tasks for this user.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 50,
    output: options.Output = "text",
) -> None:
    """List what waits, agent by agent, the first to lapse first."""
    from penstock_cli import deciding

    for what, given in (("AGENT", agent), ("--tool", tool), ("--user", user)):
        options.check_text(what, given)
    wanted = deciding.Wanted(agent, tool, user, limit)
    commands.carry_out(lambda: deciding.show_list(place, wanted, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def show(
    place: options.Place,
    identifier: Identifier,
    output: options.Output = "text",
) -> None:
    """Show what was wanted, why a person is asked, and the conversation before it."""
    options.check_text("ID", identifier)
    from penstock_cli import deciding

    commands.carry_out(lambda: deciding.show(place, identifier, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def approve(
    place: options.Place,
    identifier: Identifier,
    *,
    note: Note = "",
    digest: Digest = "",
    arguments: Annotated[
        str, typer.Option(metavar="JSON", help="Other arguments than the model's, an object.")
    ] = "",
    remember: Annotated[
        str,
        typer.Option(
            metavar="session",
            help="Also for those further calls of the session that show prints under remember.",
        ),
    ] = "",
    output: options.Output = "text",
) -> None:
    """Have the call made."""
    options.check_text("ID", identifier)
    if remember not in ("", "session"):
        raise typer.BadParameter(f"{remember!r} is not session", param_hint="--remember")
    from penstock_cli import deciding

    said = deciding.Word(
        "Approve", note=note, arguments=arguments, digest=digest, remember=remember.capitalize()
    )
    commands.carry_out(lambda: deciding.decide(place, identifier, said, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def deny(
    place: options.Place,
    identifier: Identifier,
    note: Note = "",
    digest: Digest = "",
    output: options.Output = "text",
) -> None:
    """Have the call not made; the model reads that a person denied it, and the note."""
    options.check_text("ID", identifier)
    from penstock_cli import deciding

    said = deciding.Word("Deny", note=note, digest=digest)
    commands.carry_out(lambda: deciding.decide(place, identifier, said, output))


@app.command(epilog=exits.MEANING)
@options.at_gateway
def answer(
    place: options.Place,
    identifier: Identifier,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model reads.")],
    note: Note = "",
    digest: Digest = "",
    output: options.Output = "text",
) -> None:
    """Have the call not made; the model reads TEXT as its result."""
    for what, given in (("ID", identifier), ("TEXT", text)):
        options.check_text(what, given)
    from penstock_cli import deciding

    said = deciding.Word("Answer", note=note, answer=text, digest=digest)
    commands.carry_out(lambda: deciding.decide(place, identifier, said, output))
