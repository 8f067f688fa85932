"""The options that say where the gateway and the cluster are: said once, for every command."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

_Own = ParamSpec("_Own")

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


@dataclass(frozen=True)
class Place:
    """Where the gateway or the cluster is, as far as the person said; what is empty is looked for.

    Each field is an option; ``namespace`` is that of the Agent.
    """

    namespace: Namespace = ""
    gateway: Gateway = ""
    token: Token = ""
    state_dir: StateDirectory = ".penstock"
    context: Context = ""
    kubeconfig: Kubeconfig = ""
    system_namespace: SystemNamespace = "penstock-system"

    @property
    def is_cluster(self) -> bool:
        """Whether a cluster was named, so that no local environment is meant."""
        return bool(self.kubeconfig or self.context)


#: What a command needs that asks the API server alone.
_OF_CLUSTER: Final = ("namespace", "state_dir", "context", "kubeconfig")


def at_gateway(command: Callable[Concatenate[Place, _Own], None]) -> Callable[..., None]:
    """A command with every option of a ``Place`` after its own; it gets them as one."""
    return _placed(command, tuple(field.name for field in fields(Place)))


def at_cluster(command: Callable[Concatenate[Place, _Own], None]) -> Callable[..., None]:
    """A command with those options of a ``Place`` that say which API server; it gets them as one."""
    return _placed(command, _OF_CLUSTER)


def _placed(command: Callable[..., None], chosen: tuple[str, ...]) -> Callable[..., None]:
    def run(**given: Any) -> None:
        place = Place(**{name: given.pop(name) for name in chosen})
        command(place, **given)

    _, *own = inspect.signature(command).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY  # whose order is free, with defaults and without
    theirs = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=field.type)
        for field in fields(Place)
        if field.name in chosen
    ]
    parameters = [*(one.replace(kind=keyword) for one in own), *theirs]
    functools.update_wrapper(run, command)
    del run.__wrapped__  # type: ignore[attr-defined] # typer would read the options of that one
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


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
