"""The kubectl commands that messages print: complete, ready to paste."""

from penstock import names
from penstock.money import lifts
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Situation


def request(situation: Situation, verb: Verb, revision: str) -> str:
    """The command that asks for a verb on a revision of an AgentRollout."""
    return annotate(f"agentrollout {_object(situation)}", verb, revision)


def annotate(resource: str, verb: Verb, revision: str) -> str:
    """The command that asks a resource; each paste is a request of its own.

    Args:
        resource: kind and name, with the namespace where it is known, as kubectl takes them.
    """
    value = f'{names.ANNOTATION_REQUEST}="{verb}/{revision}/$(date +%s)"'
    return f"kubectl annotate {resource} --overwrite {value}"


def lift_budget(agent: str, of: str, amount: str) -> str:
    """The command that adds to a budget of an Agent until its window ends.

    Args:
        agent: its name, with the namespace where it is known.
        of: scope and window, as in ``agent/daily``.
        amount: in USD, or tokens with that word behind it.
    """
    request = f'{names.ANNOTATION_REQUEST}="{lifts.VERB}/{of}/{amount}/$(date +%s)"'
    whoami = "kubectl auth whoami -o jsonpath={.status.userInfo.username}"
    by = f'{names.ANNOTATION_REQUESTED_BY}="$({whoami})"'
    return f"kubectl annotate agent {agent} --overwrite {request} {by}"


def resume_steps(situation: Situation) -> str:
    """The command that takes a setpoint away."""
    return _patch(situation, '{"spec":{"traffic":{"canaryPercent":null}}}')


def set_percent(situation: Situation, percent: int, revision: str) -> str:
    """The command that sets the share of one revision."""
    traffic = f'{{"canaryPercent":{percent},"canaryRevision":"{revision}"}}'
    return _patch(situation, f'{{"spec":{{"traffic":{traffic}}}}}')


def raise_cap(situation: Situation, dollars: str) -> str:
    """The command that lets a canary spend so much."""
    return _patch(situation, f'{{"spec":{{"analysis":{{"canarySpendCapUSD":"{dollars}"}}}}}}')


def raise_limit(situation: Situation, field: str, value: int) -> str:
    """The command that declares another limit of the guardrails."""
    return _patch(situation, f'{{"spec":{{"analysis":{{"guardrails":{{"{field}":{value}}}}}}}}}')


def raise_harm(situation: Situation, name: str, said: str) -> str:
    """The command that sets a field of what a canary may do, by its JSON."""
    return _patch(situation, f'{{"spec":{{"analysis":{{"harm":{{"{name}":{said}}}}}}}}}')


def unpause(situation: Situation) -> str:
    """The command that lets the steps go on."""
    return _patch(situation, '{"spec":{"paused":false}}')


def suspend(situation: Situation) -> str:
    """The command that throws the Agent's kill switch."""
    agent = place(situation.spec.agent_ref.name, situation.namespace)
    return f"""kubectl patch agent {agent} --type merge -p '{{"spec":{{"suspended":true}}}}'"""


def _patch(situation: Situation, patch: str) -> str:
    return f"kubectl patch agentrollout {_object(situation)} --type merge -p '{patch}'"


def _object(situation: Situation) -> str:
    return place(situation.name or situation.spec.agent_ref.name, situation.namespace)


def place(name: str, namespace: str) -> str:
    """A name with its namespace where it is known, as kubectl takes them."""
    return f"{name} -n {namespace}" if namespace else name
