"""The commands. What a command needs is imported when it runs, so that ``--help`` is quick."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from penstock_cli import exits

app = typer.Typer(
    name="penstock",
    help="Runs LLM agents on Kubernetes: immutable revisions, gradual rollout, automatic rollback.",
    epilog=exits.MEANING,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog=exits.MEANING)
def run(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")],
    text: Annotated[
        str, typer.Argument(metavar="INPUT", help="What it is asked; - reads standard input.")
    ],
    namespace: Annotated[
        str, typer.Option("-n", "--namespace", help="Namespace of the Agent.")
    ] = "default",
    user: Annotated[str, typer.Option(help="For whom; each user stays on one revision.")] = "",
    session: Annotated[str, typer.Option(help="A conversation to go on with.")] = "",
    wait: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds to wait for the end; 0 only submits.")
    ] = 300,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="text|json", help="The answer, or the task.")
    ] = "text",
    gateway: Annotated[
        str, typer.Option(envvar="PENSTOCK_GATEWAY_URL", help="Address of the gateway.")
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="PENSTOCK_TOKEN", help="Bearer token for the gateway.")
    ] = "",
    state_dir: Annotated[
        str, typer.Option(help="Of penstock dev up; asked when there is no --gateway.")
    ] = ".penstock",
) -> None:
    """Ask an agent, tell what happens on standard error, and print its answer."""
    if output not in ("text", "json"):
        raise typer.BadParameter("must be text or json", param_hint="--output")
    from penstock_cli import asking

    place = asking.Place(gateway, token, state_dir)
    said = sys.stdin.read() if text == "-" else text
    question = asking.Question(agent, said, namespace, user, session)
    _carry_out(lambda: asking.ask(place, question, wait, as_json=output == "json"))


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

    raise typer.Exit(verbs.main(context.args, program="penstock dev"))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib import metadata

    print(f"penstock {metadata.version('penstock')}")


def _carry_out(command: Callable[[], None]) -> None:
    try:
        command()
    except exits.Stopped as stopped:
        print(f"penstock: {stopped.sentence}", file=sys.stderr)
        raise typer.Exit(stopped.code) from None
    except KeyboardInterrupt:
        print("penstock: interrupted; what was submitted goes on", file=sys.stderr)
        raise typer.Exit(exits.Exit.INTERRUPTED) from None
