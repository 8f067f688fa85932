"""The kubectl commands that messages print: complete, ready to paste."""

from penstock import names
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Situation


def request(situation: Situation, verb: Verb, revision: str) -> str:
    """The command that asks for a verb on a revision; each paste is a request of its own."""
    return (
        f"kubectl annotate agentrollout {_object(situation)} --overwrite "
        f'{names.ANNOTATION_REQUEST}="{verb}/{revision}/$(date +%s)"'
    )


def resume_steps(situation: Situation) -> str:
    """The command that takes a setpoint away."""
    return _patch(situation, '{"spec":{"traffic":{"canaryPercent":null}}}')


def set_percent(situation: Situation, percent: int, revision: str) -> str:
    """The command that sets the share of one revision."""
    traffic = f'{{"canaryPercent":{percent},"canaryRevision":"{revision}"}}'
    return _patch(situation, f'{{"spec":{{"traffic":{traffic}}}}}')


def unpause(situation: Situation) -> str:
    """The command that lets the steps go on."""
    return _patch(situation, '{"spec":{"paused":false}}')


def _patch(situation: Situation, patch: str) -> str:
    return f"kubectl patch agentrollout {_object(situation)} --type merge -p '{patch}'"


def _object(situation: Situation) -> str:
    name = situation.name or situation.spec.agent_ref.name
    return f"{name} -n {situation.namespace}" if situation.namespace else name
