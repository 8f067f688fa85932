"""Which revision is meant: by its name, its hash, or the version that its template declares."""

import re
from typing import Any, Final

from penstock import names
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import Kubectl, KubectlFailed

_HASH: Final = re.compile(rf"[0-9a-f]{{{names.HASH_LENGTH}}}", re.ASCII)


async def revision_of(kubectl: Kubectl, agent: names.AgentKey, said: str) -> str:
    """The name or hash of a revision that was said, or the name of the one that declares the version.

    A version is looked up in the cluster; a name or hash is not.

    Raises:
        Stopped: no revision of the agent declares it, several do, or the cluster does not tell.
    """
    found = names.hash_of(said)
    if not said or (
        _HASH.fullmatch(found) and said in (found, names.revision_name(agent.name, found))
    ):
        return said
    label = f"--selector={names.LABEL_AGENT}={agent.name}"
    where = f"--namespace={agent.namespace}"
    try:
        records = await kubectl.read_json("get", "controllerrevisions", where, label)
    except KubectlFailed as failed:
        sentence = f"{said!r} is no revision's name or hash, and no version that can be looked up: {failed}"
        raise Stopped(Exit.USAGE, sentence) from None
    return _declaring(records["items"], agent, said)


def _declaring(records: list[dict[str, Any]], agent: names.AgentKey, version: str) -> str:
    declared: dict[str, str] = {record["metadata"]["name"]: _version(record) for record in records}
    match [name for name, each in declared.items() if each == version]:
        case [name]:
            return name
        case []:
            known = ", ".join(sorted(filter(None, {*declared.values()}))) or "none"
            sentence = f"no revision of {agent} is called {version!r} or declares that version (known: {known})"
        case several:
            sentence = f"several revisions of {agent} declare version {version!r}: {', '.join(sorted(several))}"
    raise Stopped(Exit.USAGE, f"{sentence}. Give the name or the hash of one.")


def _version(record: dict[str, Any]) -> str:
    declared = (record.get("data") or {}).get("declared") or {}
    return str(declared.get("version") or "")
