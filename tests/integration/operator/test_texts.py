"""Any text is a prompt: it is stored, reaches the workers unchanged, and a rollout of it goes on."""

import httpx

from penstock_dev import environment as embedded
from penstock_dev import traffic
from tests.integration.cluster import Cluster, agent
from tests.integration.operator.test_fields import parked

#: Beyond the first plane, what readers of YAML refuse or fold, and what JSON escapes.
ODD = "🚢𝕏𠮷 \x00\x07\x1b\x7f\x80\x85\x9f \u2028\u2029\ufeff\ufffd\ufffe\uffff \r\n\t\\u0041 {{ }} ${X} %s: - #"
FAKE = '\n#fake {"text": "On its way."}'


def tool(name: str) -> dict:
    schema = {
        "type": "object",
        "properties": {"a": {"description": ODD, "default": {ODD: None, "k" * 1500: ODD}}},
    }
    return {"name": name, "description": ODD, "inputSchema": schema, "http": {"url": "http://t"}}


def test_an_agent_serves_whatever_its_texts_are_made_of(
    cluster: Cluster, environment: embedded.Environment, gateway: str, namespace: str
) -> None:
    source = {"configMapKeyRef": {"name": "prompt", "key": "system.md"}}
    by_reference = agent(name="referred", template={"instructionsFrom": source})
    del by_reference["spec"]["template"]["instructions"]
    prompt = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompt"}}
    env = [{"name": "MOOD", "value": ODD.replace("\x00", "")}, {"name": "EMPTY", "value": ""}]
    cluster.apply(
        {**prompt, "data": {"system.md": ODD + FAKE}},
        by_reference,
        agent(ODD + FAKE, name="told", template={"tools": [tool("odd")]}),
        agent("Be kind." + FAKE, name="varied", template={"worker": {"env": env}}),
    )
    for name in ("referred", "told", "varied"):
        cluster.until_condition(f"agent/{name}", "Ready", "True", "Serving")
        target = traffic.Target(environment.gateway_url, environment.token, name, namespace)
        answer = httpx.post(
            target.gateway_url + target.path,
            json={"input": "Where is my order?", "wait": 60},
            headers={"Authorization": f"Bearer {target.token}"},
            timeout=90,
            trust_env=False,
        ).json()
        assert (answer["status"], answer["output"]) == ("Succeeded", "On its way."), name


def test_a_canary_of_any_text_is_rolled_out(cluster: Cluster) -> None:
    cluster.apply(agent("Be kind."), parked())
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    cluster.apply(agent(ODD, template={"tools": [tool("odd")]}))
    cluster.until(
        "the canary serves its step",
        lambda: (cluster.get("agentrollout", "support")["status"]["share"]["percent"]) == 5,
    )
