"""The commands that change a rollout: a patch or a request by kubectl, and the operator's answer to it."""

import asyncio
import json
import shlex
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from penstock import names
from penstock.api.reasons import ConditionType
from penstock.rollout import onlooker
from penstock.rollout.requests import Verb
from penstock_cli import documents, history, looking, options, views
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import KubectlFailed
from penstock_cli.seen import Document, Seen

_LOOK_SECONDS: Final = 0.5
#: Flux takes back what was changed under a name that begins with kubectl.
_FIELD_MANAGER: Final = "--field-manager=penstock-terminal"
_WAITING: Final = "Waiting"
_REJECTED: Final = "CandidateRejected"
#: What an Agent takes that no AgentRollout governs.
_OF_AGENTS: Final = (Verb.UNDO, Verb.RETRY)
#: Of what the API server says where somebody may not do a thing.
_FORBIDDEN: Final = ("forbidden", "denied request", "needs the verb")


def set_percent(
    place: options.Place,
    name: str,
    percent: int | None,
    revision: str,
    answering: options.Answering,
) -> None:
    """Set the share of the canary, or give it back to the steps; print what the operator makes of it.

    Args:
        percent: None: the steps.
        revision: for which it is meant; empty: the present canary, if there is one.

    Raises:
        Stopped: it was refused, or nobody has answered in time.
    """

    def patch(seen: Seen) -> Document:
        meant = _named(seen, revision) or seen.canary
        share = {"canaryPercent": percent, "canaryRevision": meant or None}
        if percent is None:
            share["canaryRevision"] = None
        return {"traffic": share}

    told = asyncio.run(_patched(place, name, patch, ConditionType.MANUAL_SETPOINT, answering))
    if told.get("reason") == _REJECTED:
        raise Stopped(Exit.REFUSED, "a rejected canary gets nothing: penstock retry comes first")


def pause(place: options.Place, name: str, answering: options.Answering, *, paused: bool) -> None:
    """Have nothing raised by itself any more, or again; print where it stands then.

    Raises:
        Stopped: it was refused, or nobody has answered in time.
    """
    asyncio.run(_patched(place, name, lambda _: {"paused": paused}, ConditionType.READY, answering))


def ask(
    place: options.Place, name: str, verb: Verb, revision: str, answering: options.Answering
) -> None:
    """Ask the operator for a verb, and print its answer.

    Args:
        revision: empty: the canary; of an undo the last that served everybody before.

    Raises:
        Stopped: it was refused, or nobody has answered in time.
    """
    asyncio.run(_asked(place, name, verb, revision, answering))


@dataclass(frozen=True)
class _Changed:
    """The object that is changed, and answers: an AgentRollout, or an Agent that has none."""

    resource: str
    name: str
    namespace: str

    @property
    def where(self) -> tuple[str, str, str]:
        """It in a command of kubectl."""
        return self.resource, self.name, f"--namespace={self.namespace}"

    @property
    def look(self) -> str:
        """A command that shows where it stands."""
        if self.resource == looking.AGENTS:
            return f"kubectl describe agent {self.name} -n {self.namespace}"
        return f"penstock explain {self.name} -n {self.namespace}"


def _changed(seen: Seen, *, ungoverned: bool = False) -> _Changed:
    resource = looking.AGENTS if ungoverned else looking.ROLLOUTS
    return _Changed(resource, seen.name, seen.namespace)


# ---------------------------------------------------------------------------------- a change


async def _patched(
    place: options.Place,
    name: str,
    spec: Callable[[Seen], Document],
    told_by: ConditionType,
    answering: options.Answering,
) -> Document:
    """The condition that tells what the operator makes of a change; empty where nobody waits for it.

    One that is Unknown is no answer yet: what was asked for is not in force.
    """
    looks = views.looker(place)
    seen = await looks.look(name)
    patch = json.dumps({"spec": spec(seen)}, separators=(",", ":"))
    changed = _changed(seen)
    written = await _written(looks, changed, "patch", "--type=merge", f"--patch={patch}")
    generation = int(written["metadata"]["generation"])
    if not answering.seconds:
        return {}

    last: dict[str, Document] = {}

    def answer(now: Document) -> Document | None:
        status = now.get("status") or {}
        if status.get("observedGeneration", 0) < generation:
            return None
        found = [one for one in status.get("conditions") or () if one["type"] == told_by]
        last["seen"] = found[0] if found else {"reason": "", "message": "done"}
        return None if last["seen"].get("status") == "Unknown" else last["seen"]

    told = await _until(looks, changed, answering.seconds, answer)
    if told is None and "seen" in last:
        if answering.output != "text":
            print(documents.printed(last["seen"], answering.output))
        raise Stopped(Exit.UNFINISHED, f"{last['seen']['message']} {changed.look}")
    if told is None:
        raise _unanswered(changed, answering.seconds)
    _print(told, answering, told["message"] or told["reason"])
    return told


# --------------------------------------------------------------------------------- a request


async def _asked(
    place: options.Place, name: str, verb: Verb, revision: str, answering: options.Answering
) -> None:
    looks = views.looker(place)
    if verb in _OF_AGENTS:
        seen, ungoverned = await looks.look_at_any(name)
    else:
        seen, ungoverned = await looks.look(name), False
    asked = _changed(seen, ungoverned=ungoverned)
    meant = _named(seen, revision) or _meant(seen, verb, ungoverned=ungoverned)
    value = f"{verb}/{meant}/{uuid.uuid4().hex[:12]}"
    await _written(looks, asked, "annotate", "--overwrite", f"{names.ANNOTATION_REQUEST}={value}")
    if not answering.seconds:
        return

    last: dict[str, Document] = {}

    def answer(now: Document) -> Document | None:
        told: Document = (now.get("status") or {}).get("lastRequest") or {}
        if told.get("value") != value:
            return None
        last["seen"] = told
        return None if told["result"] == _WAITING else told

    told = await _until(looks, asked, answering.seconds, answer)
    if told is None and "seen" in last:
        sentence = f"{verb} {meant} waits, and goes on by itself: {last['seen']['message']}"
        raise Stopped(Exit.UNFINISHED, sentence)
    if told is None:
        raise _unanswered(asked, answering.seconds)
    _print(told, answering, told["message"])
    if told["result"] != "Accepted":
        raise Stopped(Exit.REFUSED, f"the operator refused to {verb} {meant}: {told['message']}")


def _named(seen: Seen, text: str) -> str:
    """The name of the revision that a person says; as he says it where no record can be read."""
    if not text or not seen.documents.records:
        return text
    name: str = history.named(seen, text)["metadata"]["name"]
    return name


def _meant(seen: Seen, verb: Verb, *, ungoverned: bool) -> str:
    """The revision that is meant where none was said."""
    if verb is Verb.UNDO and ungoverned:  # nobody has written down which served when
        there = ", ".join(sorted(seen.records)) or "none"
        sentence = f"say where to go with --to, since {seen.name} has no AgentRollout; on record are: {there}"
        raise Stopped(Exit.USAGE, sentence)
    if verb is Verb.UNDO:
        back = onlooker.ways_back(seen.situation())
        if not back:
            raise Stopped(Exit.REFUSED, f"{seen.name} has no revision to go back to")
        return back[0]
    if verb is Verb.RETRY and not ungoverned and not seen.canary and seen.status.braked:
        return seen.stable  # that lets it go on
    found = seen.canary or seen.agent.latest_revision or ""
    if not found or found == seen.stable:
        raise Stopped(Exit.REFUSED, f"{seen.name} has no canary: there is nothing to {verb}")
    return found


# --------------------------------------------------------------------------------------- both


async def _written(looks: looking.Looker, place: _Changed, verb: str, *words: str) -> Document:
    """The object after a change; the command is told on standard error before."""
    command = [verb, *place.where, _FIELD_MANAGER, *words]
    print(f"$ {shlex.join(['kubectl', *command])}", file=sys.stderr)
    try:
        written: Document = await looks.kubectl.read_json(*command)
    except KubectlFailed as failed:
        said = str(failed).removeprefix(f"kubectl {' '.join(command)}: ")
        sentence = f"{place.name} cannot be changed: {_why(place, said)}"
        raise Stopped(Exit.REFUSED, sentence) from None
    return written


def _why(place: _Changed, said: str) -> str:
    """What the API server said; of a right that is missing also how to look it up."""
    if not any(word in said for word in _FORBIDDEN):
        return said
    verbs = "promote" if "promote" in said or "denied request" in said else "patch"
    look = f"kubectl auth can-i {verbs} {place.resource}/{place.name} -n {place.namespace}"
    return f"{said}. It takes the verb {verbs} on {place.resource.partition('.')[0]}: {look}"


async def _until(
    looks: looking.Looker,
    place: _Changed,
    seconds: float,
    answer: Callable[[Document], Document | None],
) -> Document | None:
    """The answer in the status; None where none came in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                now = await looks.kubectl.read_json("get", *place.where)
                if (told := answer(now)) is not None:
                    return told
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return None
    except KubectlFailed as failed:
        sentence = f"it was sent, and its answer cannot be read: {failed}"
        raise Stopped(Exit.REFUSED, sentence) from None


def _unanswered(place: _Changed, seconds: float) -> Stopped:
    sentence = f"the operator has not answered within {seconds:g} s; it was sent all the same: {place.look}"
    return Stopped(Exit.UNFINISHED, sentence)


def _print(told: Document, answering: options.Answering, sentence: Any) -> None:
    if answering.output != "text":
        print(documents.printed(told, answering.output))
    elif told.get("result", "Accepted") == "Accepted":
        print(sentence)
