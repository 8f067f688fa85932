"""`penstock get` and `penstock explain`: read a rollout, and print it in the form that was asked for."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from penstock.rollout import path
from penstock_cli import clock, documents, explaining, looking, options, picture, places
from penstock_cli import history as revisions
from penstock_cli.exits import Stopped
from penstock_cli.seen import Seen

#: A watch looks so often; each look costs a few calls of kubectl.
_LOOK_SECONDS: Final = 2.0
#: Columns where no terminal says how many it has.
_COLUMNS: Final = 80

_Lines = Callable[[Seen, int], Iterator[Text]]
_Document = Callable[[Seen], dict[str, Any]]


@dataclass(frozen=True)
class View:
    """What is shown of a rollout: to people, and to programs; whether by the records of decisions."""

    lines: _Lines
    document: _Document
    decided: bool = False


def get(place: options.Place, name: str, output: str, *, watch: bool) -> None:
    """Print a rollout as a picture; with ``watch`` until it is interrupted.

    Raises:
        Stopped: it could not be read.
    """
    view = View(picture.lines, document)
    if watch:
        asyncio.run(_watch(place, name, view))
    else:
        _print(place, name, view, output)


def explain(place: options.Place, name: str, output: str, *, whole: bool) -> None:
    """Print why a rollout does not move, and what can be typed; ``whole``: with the checks that say nothing.

    Raises:
        Stopped: it could not be read.
    """
    _print(place, name, View(partial(explaining.lines, whole=whole), explaining.document), output)


def history(place: options.Place, name: str, output: str) -> None:
    """Print the revisions of a rollout's Agent, each with its attempts.

    Raises:
        Stopped: they could not be read.
    """
    _print(place, name, View(revisions.lines, revisions.document, decided=True), output)


def diff(place: options.Place, name: str, before: str, after: str, output: str) -> None:
    """Print what one revision declares and the other does not; as text nothing where they declare the same.

    Raises:
        Stopped: they could not be read, or nobody can tell which are meant.
    """
    seen = asyncio.run(looker(place).look(name))
    if output != "text":
        print(documents.printed(revisions.difference(seen, before, after), output))
        return
    console = terminal()
    for line in revisions.between(seen, before, after):
        console.print(revisions.coloured(line))


def _print(place: options.Place, name: str, view: View, output: str) -> None:
    seen = asyncio.run(looker(place).look(name, decided=view.decided))
    if output != "text":
        print(documents.printed(view.document(seen), output))
        return
    console = terminal()
    for line in view.lines(seen, console.width):
        console.print(line)


def looker(place: options.Place) -> looking.Looker:
    """Who looks, by what the person said."""
    return looking.Looker(places.cluster(place), place.namespace)


def terminal(*, wraps: bool = False) -> Console:
    """Standard output: colours only in a terminal, and none where NO_COLOR is set.

    What is longer than a line is left to the terminal, so that a command in it can be copied.

    Args:
        wraps: it is wrapped here, since what is drawn anew must know its lines.
    """
    width = None if sys.stdout.isatty() else _COLUMNS
    return Console(highlight=False, soft_wrap=not wraps, width=width)


async def _watch(place: options.Place, name: str, view: View) -> None:
    """Draw it anew while the terminal is there; without one a picture is printed when it changes."""
    looks, console = looker(place), terminal(wraps=True)
    seen, before = await looks.look(name), ""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            lines = list(view.lines(seen, console.width))
            if console.is_terminal:
                live.update(Group(*lines), refresh=True)
            elif before != (before := _words(seen)):
                console.print(*lines, sep="\n")
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await _again(looks, name, seen)


def _words(seen: Seen) -> str:
    return f"{picture.status(seen)} {picture.message(seen)}"


async def _again(looks: looking.Looker, name: str, seen: Seen) -> Seen:
    """The next look; the last one again while the API server does not answer."""
    try:
        return await looks.look(name)
    except Stopped as stopped:
        print(f"penstock: {stopped.sentence}", file=sys.stderr)
        return seen


def document(seen: Seen) -> dict[str, Any]:
    """A rollout for programs."""
    share, running = seen.status.share, clock.of(seen)
    return {
        "name": seen.name,
        "namespace": seen.namespace,
        "agent": seen.agent_name,
        "status": picture.status(seen),
        "message": picture.message(seen),
        "unresolved": picture.unresolved(seen),
        "observed": not seen.unseen,
        "effects": picture.effects_document(seen),
        "share": {"percent": share.percent, "source": share.source.value},
        "rings": [ring.name for ring in seen.status.rings if seen.status.chosen],
        "step": path.label(seen.spec.strategy, seen.status),
        "stepStartedAt": seen.status.step_started_at,
        "clock": running.document if running else None,
        "revisions": [_revision(seen, name) for name in picture.revisions(seen)],
        **picture.checks_document(seen),
        "verdicts": [one.wire() for one in seen.status.verdicts],
        "lastRequest": seen.status.last_request.wire(),
    }


def _revision(seen: Seen, name: str) -> dict[str, Any]:
    reported, pods = seen.reported.get(name), seen.situation().pods.get(name)
    told = (
        {"queued": reported.queued, "running": reported.running, "pinned": reported.pinned}
        if reported
        else {}
    )
    states = [(pod["metadata"]["name"], *picture.pod_state(pod)) for pod in seen.pods_of(name)]
    return {
        "name": name,
        "version": seen.version(name),
        "role": picture.role(seen, name),
        "percent": picture.share(seen, name),
        "ready": pods.ready if pods else 0,
        "wanted": pods.wanted if pods else 0,
        **told,
        "pods": [{"name": pod, "state": state, "ready": ready} for pod, state, ready in states],
    }
