"""Where the gateway is and with which token: as said, else the local environment, else the cluster."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from penstock_cli import options
from penstock_cli.exits import Exit, Stopped
from penstock_cli.forwarding import Target, forwarded
from penstock_cli.kubectl import Kubectl, KubectlFailed
from penstock_dev import state

CALLER: Final = "penstock-caller"  # the ServiceAccount that people call as
AUDIENCE: Final = "penstock"
_SELECTOR: Final = "app.kubernetes.io/part-of=penstock,app.kubernetes.io/component=gateway"
_SHORTEST_TOKEN_SECONDS: Final = 600  # the API server makes none that is shorter
_SAY: Final = "say where it is: --gateway and --token, or PENSTOCK_GATEWAY_URL and PENSTOCK_TOKEN"


@dataclass(frozen=True)
class Gateway:
    """A gateway as it is spoken to, and the namespace of the Agents that are asked."""

    url: str
    token: str
    namespace: str


@contextlib.asynccontextmanager
async def reach(
    place: options.Place, seconds: float, *, sees_all: bool = False
) -> AsyncIterator[Gateway]:
    """The gateway, for as long as it is used; a token that is made for it is valid so long.

    Args:
        sees_all: whether what is read is of all tenants, which no static token may; in the local environment
            another token than its caller's is taken then.

    Raises:
        Stopped: none is known or can be reached, or there is no token for it.
    """
    if place.gateway:
        yield await _at_address(place, seconds)
    elif not place.is_cluster and (local := _running_here(place, sees_all=sees_all)):
        yield local
    else:
        async with _in_cluster(place, seconds) as found:
            yield found


def _kubectl(place: options.Place) -> Kubectl:
    """kubectl for the cluster that was said."""
    return Kubectl(place.kubeconfig, place.context)


def cluster(place: options.Place) -> Kubectl:
    """kubectl for the cluster that was said, else for the local environment, else as it is set up."""
    directory = state.StateDirectory.at(place.state_dir)
    if place.is_cluster or not directory.is_held():
        return _kubectl(place)
    record: dict[str, Any] = state.read_json(directory.environment_file) or {}
    return Kubectl(str(directory.kubeconfig), other=str(record.get("kubectl") or ""))


# ----------------------------------------------------------------------------- an address, or here


async def _at_address(place: options.Place, seconds: float) -> Gateway:
    if place.token and (place.namespace or not place.is_cluster):
        return Gateway(place.gateway, place.token, place.namespace or "default")
    try:
        namespace = place.namespace or _namespace(await _context(place))
    except KubectlFailed as failed:
        if place.token:
            raise Stopped(Exit.USAGE, f"no namespace is known: {failed}. Give one: -n.") from None
        sentence = f"no token is known: {failed}. Give one: --token, or PENSTOCK_TOKEN."
        raise Stopped(Exit.USAGE, sentence) from None
    return Gateway(place.gateway, place.token or await _token(place, namespace, seconds), namespace)


def _running_here(place: options.Place, *, sees_all: bool) -> Gateway | None:
    directory = state.StateDirectory.at(place.state_dir)
    if not directory.is_held():
        return None
    record: dict[str, Any] = state.read_json(directory.environment_file) or {}
    own = (sees_all and record.get("auditorToken")) or record.get("token")
    url, token = record.get("gatewayURL"), place.token or own
    return Gateway(url, token, place.namespace or "default") if url and token else None


# ------------------------------------------------------------------------------------ the cluster


@contextlib.asynccontextmanager
async def _in_cluster(place: options.Place, seconds: float) -> AsyncIterator[Gateway]:
    try:
        context = await _context(place)
    except KubectlFailed as failed:
        raise Stopped(
            Exit.USAGE, _unknown(place, f"there is no cluster to look in: {failed}")
        ) from None
    namespace = place.namespace or _namespace(context)
    target = await _service(place, context["name"])
    token = place.token or await _token(place, namespace, seconds)
    try:
        async with forwarded(_kubectl(place), target) as port:
            yield Gateway(f"http://127.0.0.1:{port}", token, namespace)
    except KubectlFailed as failed:
        where = f"Service {target.service} in namespace {target.namespace}"
        sentence = f"the gateway cannot be reached through {where} ({failed}). Look at its pods: "
        look = f"kubectl get pods -n {target.namespace} -l {_SELECTOR}"
        raise Stopped(Exit.REFUSED, sentence + look) from None


async def _context(place: options.Place) -> dict[str, Any]:
    """The context in use: its name, and the document of its cluster, user and namespace."""
    config = await _kubectl(place).read_json("config", "view", "--minify")
    contexts = config.get("contexts") or []
    if not contexts:
        raise KubectlFailed("the kubeconfig has no current context")
    context: dict[str, Any] = contexts[0]
    return context


def _namespace(context: dict[str, Any]) -> str:
    return context["context"].get("namespace") or "default"


async def _service(place: options.Place, context: str) -> Target:
    namespace = place.system_namespace
    where = f"the namespace {namespace} of the cluster in context {context!r}"
    try:
        found = await _kubectl(place).read_json(
            "get", "services", f"--namespace={namespace}", f"--selector={_SELECTOR}"
        )
    except KubectlFailed as failed:
        raise Stopped(Exit.REFUSED, _unknown(place, f"{where} does not tell: {failed}")) from None
    match found["items"]:
        case []:
            reason = f"{where} has no Service labelled {_SELECTOR} (elsewhere: --system-namespace)"
            raise Stopped(Exit.REFUSED, _unknown(place, reason))
        case [service]:
            return Target(
                namespace, service["metadata"]["name"], service["spec"]["ports"][0]["port"]
            )
        case services:
            names = ", ".join(sorted(service["metadata"]["name"] for service in services))
            raise Stopped(Exit.USAGE, f"{where} has several gateways ({names}); {_SAY}.")


def _unknown(place: options.Place, reason: str) -> str:
    local = not place.is_cluster
    here = f"no local environment runs in {place.state_dir}, and " if local else ""
    other = (
        "name the folder of one that runs (--state-dir, or PENSTOCK_STATE_DIR), " if local else ""
    )
    return (
        f"no gateway is known: {here}{reason}. Install Penstock there, start a local environment "
        f"(penstock dev up), {other}or {_SAY}."
    )


async def _token(place: options.Place, namespace: str, seconds: float) -> str:
    lifetime = _SHORTEST_TOKEN_SECONDS + int(seconds)
    account = ("create", "token", CALLER, f"--namespace={namespace}")
    try:
        made = await _kubectl(place).read(
            *account, f"--audience={AUDIENCE}", f"--duration={lifetime}s"
        )
    except KubectlFailed as failed:
        raise Stopped(Exit.REFUSED, f"no token is known: {failed}. {_advice(namespace)}") from None
    return made.strip()


def _advice(namespace: str) -> str:
    role, bound = f"role {CALLER} -n {namespace}", f"rolebinding {CALLER} -n {namespace}"
    lines = [
        "Give one (--token, or PENSTOCK_TOKEN), or let a service account be the caller:",
        f"  kubectl create serviceaccount {CALLER} -n {namespace}",
        f"  kubectl create {role} --verb=create,get,delete --resource=agents.penstock.dev/tasks",
        f"  kubectl create {bound} --role={CALLER} --serviceaccount={namespace}:{CALLER}",
    ]
    return "\n".join(lines)
