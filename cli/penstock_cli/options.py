"""The options that say where the gateway is, the same for every command that asks it."""

from typing import Annotated

import typer

Namespace = Annotated[
    str,
    typer.Option(
        "-n",
        "--namespace",
        help="Namespace of the Agent; else that of the kubeconfig's context, if the cluster is "
        "asked, else default.",
    ),
]
Gateway = Annotated[
    str,
    typer.Option(
        envvar="PENSTOCK_GATEWAY_URL",
        help="Address of the gateway; else that of the local environment, else the cluster's.",
    ),
]
Token = Annotated[
    str,
    typer.Option(
        envvar="PENSTOCK_TOKEN",
        help="Bearer token for the gateway; else one of the ServiceAccount penstock-caller.",
    ),
]
StateDirectory = Annotated[
    str,
    typer.Option(
        envvar="PENSTOCK_STATE_DIR", help="Of penstock dev up; asked when nothing else is said."
    ),
]
Context = Annotated[str, typer.Option(help="Context of the kubeconfig: the cluster.")]
Kubeconfig = Annotated[
    str, typer.Option(metavar="FILE", help="The kubeconfig; else what kubectl takes.")
]
SystemNamespace = Annotated[str, typer.Option(help="Where Penstock is installed in the cluster.")]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="Of all namespaces.")]
Output = Annotated[
    str, typer.Option("-o", "--output", metavar="text|json", help="How it is printed.")
]


def check_output(output: str, *forms: str) -> None:
    """Refuse a form of output that there is not; without ``forms`` there are text and json."""
    *others, last = forms or ("text", "json")
    if output not in (*others, last):
        words = f"must be {', '.join(others)} or {last}"
        raise typer.BadParameter(words, param_hint="--output")


def check_text(what: str, given: str) -> None:
    """Refuse bytes that are not UTF-8: they cannot be sent, and nobody meant them."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(
            f"is not UTF-8 (at position {error.start})", param_hint=what
        ) from None
