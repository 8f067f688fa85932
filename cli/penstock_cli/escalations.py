"""``penstock escalations``: what waits for a person, and the person's word. Imports when it runs."""

from typing import Annotated

import typer

from penstock_cli import commands, exits, options

app = typer.Typer(
    help="Calls that wait for a person: see them, and decide.",
    epilog=exits.MEANING,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
Identifier = Annotated[str, typer.Argument(metavar="ID", help="Id of the escalation.")]
Note = Annotated[str, typer.Option(help="Why; of a denied call the model reads it.")]


@app.command("list", epilog=exits.MEANING)
def list_escalations(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    agent: Annotated[str, typer.Argument(metavar="[AGENT]", help="Only of this one.")] = "",
    namespace: options.Namespace = "",
    tool: Annotated[str, typer.Option(help="Only calls of this tool.")] = "",
    user: Annotated[str, typer.Option(help="Only of tasks for this user.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 50,
    output: options.Output = "text",
    gateway: options.Gateway = "",
    token: options.Token = "",
    state_dir: options.StateDirectory = ".penstock",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    system_namespace: options.SystemNamespace = "penstock-system",
) -> None:
    """List what waits, agent by agent, the first to lapse first."""
    options.check_output(output)
    from penstock_cli import deciding, places

    place = places.Place(
        gateway, token, namespace, state_dir, kubeconfig, context, system_namespace
    )
    for what, given in (("AGENT", agent), ("--tool", tool), ("--user", user)):
        options.check_text(what, given)
    wanted = deciding.Wanted(agent, tool, user, limit)
    commands.carry_out(lambda: deciding.show_list(place, wanted, as_json=output == "json"))


@app.command(epilog=exits.MEANING)
def show(  # noqa: PLR0913, PLR0917
    identifier: Identifier,
    namespace: options.Namespace = "",
    output: options.Output = "text",
    gateway: options.Gateway = "",
    token: options.Token = "",
    state_dir: options.StateDirectory = ".penstock",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    system_namespace: options.SystemNamespace = "penstock-system",
) -> None:
    """Show what was wanted, why a person is asked, and the conversation before it."""
    options.check_output(output)
    options.check_text("ID", identifier)
    from penstock_cli import deciding, places

    place = places.Place(
        gateway, token, namespace, state_dir, kubeconfig, context, system_namespace
    )
    commands.carry_out(lambda: deciding.show(place, identifier, as_json=output == "json"))


@app.command(epilog=exits.MEANING)
def approve(  # noqa: PLR0913, PLR0917
    identifier: Identifier,
    namespace: options.Namespace = "",
    note: Note = "",
    arguments: Annotated[
        str, typer.Option(metavar="JSON", help="Other arguments than the model's, an object.")
    ] = "",
    output: options.Output = "text",
    gateway: options.Gateway = "",
    token: options.Token = "",
    state_dir: options.StateDirectory = ".penstock",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    system_namespace: options.SystemNamespace = "penstock-system",
) -> None:
    """Have the call made."""
    options.check_output(output)
    options.check_text("ID", identifier)
    from penstock_cli import deciding, places

    place = places.Place(
        gateway, token, namespace, state_dir, kubeconfig, context, system_namespace
    )
    said = deciding.Word("Approve", note=note, arguments=arguments)
    commands.carry_out(lambda: deciding.decide(place, identifier, said, as_json=output == "json"))


@app.command(epilog=exits.MEANING)
def deny(  # noqa: PLR0913, PLR0917
    identifier: Identifier,
    namespace: options.Namespace = "",
    note: Note = "",
    output: options.Output = "text",
    gateway: options.Gateway = "",
    token: options.Token = "",
    state_dir: options.StateDirectory = ".penstock",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    system_namespace: options.SystemNamespace = "penstock-system",
) -> None:
    """Have the call not made; the model reads that a person denied it, and the note."""
    options.check_output(output)
    options.check_text("ID", identifier)
    from penstock_cli import deciding, places

    place = places.Place(
        gateway, token, namespace, state_dir, kubeconfig, context, system_namespace
    )
    said = deciding.Word("Deny", note=note)
    commands.carry_out(lambda: deciding.decide(place, identifier, said, as_json=output == "json"))


@app.command(epilog=exits.MEANING)
def answer(  # noqa: PLR0913, PLR0917
    identifier: Identifier,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model reads.")],
    namespace: options.Namespace = "",
    note: Note = "",
    output: options.Output = "text",
    gateway: options.Gateway = "",
    token: options.Token = "",
    state_dir: options.StateDirectory = ".penstock",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    system_namespace: options.SystemNamespace = "penstock-system",
) -> None:
    """Have the call not made; the model reads TEXT as its result."""
    options.check_output(output)
    for what, given in (("ID", identifier), ("TEXT", text)):
        options.check_text(what, given)
    from penstock_cli import deciding, places

    place = places.Place(
        gateway, token, namespace, state_dir, kubeconfig, context, system_namespace
    )
    said = deciding.Word("Answer", note=note, answer=text)
    commands.carry_out(lambda: deciding.decide(place, identifier, said, as_json=output == "json"))
