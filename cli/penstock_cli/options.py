"""Options that several commands have, said once: where the cluster is, how an answer is awaited."""

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


def printed_as(*forms: str, help: str = "How it is printed.") -> Any:  # noqa: A002 - typer's word
    """The option that says how a command prints; a form that there is not is refused."""
    *others, last = forms

    def known(output: str) -> str:
        if output not in forms:
            raise typer.BadParameter(f"must be {', '.join(others)} or {last}")
        return output

    return typer.Option("-o", "--output", metavar="|".join(forms), help=help, callback=known)


Output = Annotated[str, printed_as("text", "json", "yaml")]

#: How a revision is said, wherever a command takes one.
A_REVISION: Final = "name, hash or the beginning of that, or version, as history shows them"


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


@dataclass(frozen=True)
class Answering:
    """How long the operator's answer is awaited, and how it is printed; each field is an option."""

    wait: Annotated[
        float,
        typer.Option(min=0, max=3600, metavar="SECONDS", help="How long to wait for the answer."),
    ] = 30.0
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait for the operator's answer.")
    ] = False
    output: Output = "text"

    @property
    def seconds(self) -> float:
        """For how long; 0: not at all."""
        return 0 if self.no_wait else self.wait


#: What a command needs that asks the API server alone.
_OF_CLUSTER: Final = ("namespace", "state_dir", "context", "kubeconfig")


def at_gateway(command: Callable[Concatenate[Place, _Own], None]) -> Callable[..., None]:
    """A command with every option of a ``Place`` after its own; it gets them as ``place``."""
    return _gathered(command, "place", Place, tuple(field.name for field in fields(Place)))


def at_cluster(command: Callable[Concatenate[Place, _Own], None]) -> Callable[..., None]:
    """A command with those options of a ``Place`` that say which API server, as ``place``."""
    return _gathered(command, "place", Place, _OF_CLUSTER)


def answered(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of an ``Answering`` after its own; it gets them as ``answering``."""
    names = tuple(field.name for field in fields(Answering))
    return _gathered(command, "answering", Answering, names)


def _gathered(
    command: Callable[..., None],
    name: str,
    kind: type[Place | Answering],
    chosen: tuple[str, ...],
) -> Callable[..., None]:
    def run(**given: Any) -> None:
        gathered = kind(**{field: given.pop(field) for field in chosen})
        command(**{name: gathered}, **given)

    signature = inspect.signature(command).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY  # whose order is free, with defaults and without
    theirs = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=field.type)
        for field in fields(kind)
        if field.name in chosen
    ]
    own = [one.replace(kind=keyword) for one in signature if one.name != name]
    parameters = [*own, *theirs]
    functools.update_wrapper(run, command)
    del run.__wrapped__  # type: ignore[attr-defined] # typer would read the options of that one
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def check_text(what: str, given: str) -> None:
    """Refuse bytes that are not UTF-8: they cannot be sent, and nobody meant them."""
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(
            f"is not UTF-8 (at position {error.start})", param_hint=what
        ) from None
