"""The commands. What a command needs is imported when it runs, so that ``--help`` is quick."""

import io
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
        str,
        typer.Option(
            "-n",
            "--namespace",
            help="Namespace of the Agent; else that of the kubeconfig's context, if the cluster is "
            "asked, else default.",
        ),
    ] = "",
    user: Annotated[str, typer.Option(help="For whom; each user stays on one revision.")] = "",
    session: Annotated[str, typer.Option(help="A conversation to go on with.")] = "",
    wait: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds to wait for the end; 0 only submits.")
    ] = 300,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="text|json", help="The answer, or the task.")
    ] = "text",
    gateway: Annotated[
        str,
        typer.Option(
            envvar="PENSTOCK_GATEWAY_URL",
            help="Address of the gateway; else that of the local environment, else the cluster's.",
        ),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="PENSTOCK_TOKEN",
            help="Bearer token for the gateway; else one of the ServiceAccount penstock-caller.",
        ),
    ] = "",
    state_dir: Annotated[
        str, typer.Option(help="Of penstock dev up; asked when nothing else is said.")
    ] = ".penstock",
    context: Annotated[str, typer.Option(help="Context of the kubeconfig: the cluster.")] = "",
    kubeconfig: Annotated[
        str, typer.Option(metavar="FILE", help="The kubeconfig; else what kubectl takes.")
    ] = "",
    system_namespace: Annotated[
        str, typer.Option(help="Where Penstock is installed in the cluster.")
    ] = "penstock-system",
) -> None:
    """Ask an agent, tell what happens on standard error, and print its answer."""
    if output not in ("text", "json"):
        raise typer.BadParameter("must be text or json", param_hint="--output")
    from penstock_cli import asking, places

    place = places.Place(
        gateway, token, namespace, state_dir, kubeconfig, context, system_namespace
    )
    said = _read_input() if text == "-" else text
    for what, given in (
        ("INPUT", said),
        ("--user", user),
        ("--session", session),
        ("AGENT", agent),
    ):
        _check_text(what, given)
    _replace_what_cannot_be_printed()
    question = asking.Question(agent, said, user, session)
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

    raise typer.Exit(verbs.main(context.args, program=context.command_path))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib import metadata

    print(f"penstock {metadata.version('penstock')}")


def plugin() -> None:
    """The same commands as ``kubectl penstock``: kubectl runs ``kubectl-penstock`` on the PATH."""
    app(prog_name="kubectl penstock")


def _read_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")


def _check_text(what: str, given: str) -> None:
    """Refuse bytes that are not UTF-8: they cannot be sent, and nobody meant them."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(
            f"is not UTF-8 (at position {error.start})", param_hint=what
        ) from None


def _replace_what_cannot_be_printed() -> None:
    """An answer with a character that the terminal lacks is printed without it, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _carry_out(command: Callable[[], None]) -> None:
    from penstock_dev import signals

    signals.as_in_the_foreground()
    try:
        # Ended from outside or by its terminal, it tidies up as after Ctrl-C.
        with signals.ended_like_interrupted():
            command()
    except exits.Stopped as stopped:
        print(f"penstock: {stopped.sentence}", file=sys.stderr)
        raise typer.Exit(stopped.code) from None
    except KeyboardInterrupt:
        print("penstock: interrupted; what was submitted goes on", file=sys.stderr)
        raise typer.Exit(exits.Exit.INTERRUPTED) from None
