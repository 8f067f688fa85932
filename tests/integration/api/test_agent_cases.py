"""What the API server accepts and refuses of an Agent: a row for each bound, enumeration and rule."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.integration.api.manifests import Document, manifest

pytestmark = pytest.mark.cluster

MINIMAL_TOOL = {"name": "refund", "inputSchema": {}, "http": {"url": "http://orders/refund"}}


class Case(NamedTuple):
    """`why` says what it shows; `said` is a part of the refusal; None: it is accepted."""

    why: str
    spec: Document
    said: str | None = None


def template(**fields: Any) -> Document:
    return {"template": fields}


def model(**fields: Any) -> Document:
    return {"template": {"model": fields}}


def limits(**fields: Any) -> Document:
    return {"template": {"limits": fields}}


def tool(**fields: Any) -> Document:
    return {"template": {"tools": [MINIMAL_TOOL | fields]}}


def tools(count: int) -> Document:
    return {"template": {"tools": [MINIMAL_TOOL | {"name": f"t{i}"} for i in range(count)]}}


def overseen(**fields: Any) -> Document:
    return {"template": {"oversight": fields}}


RULE = {"name": "destructive", "toolPattern": "delete_.*"}
FROM_CONFIGMAP = {"configMapKeyRef": {"name": "prompts", "key": "system.md"}}
AT_MOST = "should be less than or equal to"
AT_LEAST = "should be greater than or equal to"
MONEY = "must be an amount above zero in USD"

CASES = [
    # What a template says
    Case("instructions and a model are enough", {}),
    Case(
        "instructions may come from a ConfigMap",
        template(instructions=None, instructionsFrom=FROM_CONFIGMAP),
    ),
    Case(
        "an agent without instructions has no task",
        template(instructions=None),
        "exactly one of instructions and instructionsFrom must be set",
    ),
    Case(
        "two sources of instructions leave open which one holds",
        template(instructionsFrom=FROM_CONFIGMAP),
        "exactly one of instructions and instructionsFrom must be set",
    ),
    Case("empty instructions are a mistake", template(instructions=""), "at least 1 chars long"),
    Case("64 KiB of instructions stand in the object", template(instructions="x" * 65536)),
    Case("longer ones come by reference", template(instructions="x" * 65537), "Too long"),
    Case("a reference names its key", template(instructionsFrom={"configMapKeyRef": {"name": "a"}}),
         "configMapKeyRef.key: Required value"),
    Case("a template is required", {"template": None}, "spec.template: Required value"),
    Case("a model is required", template(model=None), "spec.template.model: Required value"),
    Case("a version may read like one", template(version="2.3.1-rc_1")),
    Case("a version goes into labels", template(version="2.3 beta"), "spec.template.version"),
    Case("a version has at most 63 characters", template(version="1" * 64), "Too long"),
    Case("fields of later versions are not kept in silence", template(verifier={}),
         'strict decoding error: unknown field "spec.template.verifier"'),
    # The model
    Case("a model has a name", model(name=""), "spec.template.model.name"),
    Case("a name that is a number is a mistake", model(name=5), "must be of type string"),
    Case("one provider is known", model(provider="OpenAI"), 'supported values: "Anthropic"'),
    Case("effort is a word", model(effort="Medium")),
    Case("enumerations are CamelCase", model(effort="medium"), "model.effort: Unsupported value"),
    Case("a reply has at least a token", model(maxTokens=0), AT_LEAST + " 1"),
    Case("a reply has at most 64000 tokens", model(maxTokens=64001), AT_MOST + " 64000"),
    Case("an address of a model has a scheme", model(baseURL="model.acme.svc"), "model.baseURL"),
    Case("an address has no blanks", model(baseURL="http://a b"), "model.baseURL"),
    Case("http inside the cluster is an address", model(baseURL="http://model.acme.svc:8080/v1")),
    Case("a price is in USD per million tokens",
         model(price={"inputPerMTok": "2", "outputPerMTok": "10", "cachedInputPerMTok": "0.1"})),
    Case("what costs nothing has a price", model(price={"inputPerMTok": "0", "outputPerMTok": "0"})),
    Case("a price has both sides", model(price={"inputPerMTok": "2"}),
         "price.outputPerMTok: Required value"),
    Case("a price is a decimal string", model(price={"inputPerMTok": 2, "outputPerMTok": "1"}),
         "must be of type string"),
    Case("a price is not below zero", model(price={"inputPerMTok": "-2", "outputPerMTok": "1"}),
         "price.inputPerMTok"),
    Case("a secret key is named", model(credentialsSecretRef={"name": "anthropic"}),
         "credentialsSecretRef.key: Required value"),
    Case("a name of an object is a DNS name", model(credentialsSecretRef={"name": "A", "key": "k"}),
         "credentialsSecretRef.name"),
    Case("a name has no empty label", model(credentialsSecretRef={"name": "a..b", "key": "k"}),
         "credentialsSecretRef.name"),
    Case("a key goes into no folder", model(credentialsSecretRef={"name": "a", "key": "../k"}),
         "credentialsSecretRef.key"),
    Case("a call waits at least a second", model(timeoutSeconds=0), AT_LEAST + " 1"),
    Case("a call waits at most ten minutes", model(timeoutSeconds=601), AT_MOST + " 600"),
    Case("no retry is a choice", model(retries=0)),
    Case("retries have an end", model(retries=11), AT_MOST + " 10"),
    Case("a fraction of a retry is none", model(retries=1.5), "must be of type integer"),
    # Tools
    Case("a tool is a name, a schema and an endpoint", tool()),
    Case("any JSON Schema is kept as written", tool(inputSchema={"x": [{"y": None}], "$ref": "#"})),
    Case("a schema is an object", tool(inputSchema=True), "must be of type object"),
    Case("a tool does something", tool(http=None), "http: Required value"),
    Case("a tool has an address", tool(http={"method": "GET"}), "http.url: Required value"),
    Case("an address of a tool has a scheme", tool(http={"url": "orders"}), "http.url"),
    Case("methods are HTTP's", tool(http={"url": "http://a", "method": "FETCH"}), "http.method"),
    Case("headers may come from a Secret",
         tool(http={"url": "http://a", "headersFromSecretRef": {"name": "orders"}})),
    Case("a name of a tool is what models accept", tool(name="refund order"), "tools[0].name"),
    Case("a name of a tool has at most 64 characters", tool(name="a" * 65), "tools[0].name"),
    Case("an effect is one of three", tool(effect="Harmless"), "tools[0].effect"),
    Case("approval may be waived", tool(approval={"mode": "None"})),
    Case("approval may be asked for", tool(approval={"mode": "Always"})),
    Case(
        "approval by rule says which",
        tool(approval={"mode": "When", "rules": [{"argument": "amount", "above": "100"}]}),
    ),
    Case("approval When takes a rule", tool(approval={"mode": "When"}), "takes at least one rule"),
    Case(
        "rules go with When alone",
        tool(approval={"mode": "Always", "rules": [{"argument": "amount", "above": "100"}]}),
        "rules go with mode When",
    ),
    Case(
        "a rule has one condition",
        tool(approval={"mode": "When", "rules": [{"argument": "a", "above": "1", "pattern": "x"}]}),
        "exactly one of above, contains and pattern",
    ),
    Case(
        "a rule's number is a decimal string",
        tool(approval={"mode": "When", "rules": [{"argument": "a", "above": "much"}]}),
        "above",
    ),
    Case("a tool may be kept from copies", tool(shadow="Disabled")),
    Case("or not", tool(shadow="Auto")),
    Case("and nothing between", tool(shadow="ReadOnly"), "shadow"),
    Case("two persons at most", overseen(rules=[RULE | {"minApprovals": 3}]), "minApprovals"),
    Case("a rule may want a token", overseen(rules=[RULE | {"signIn": "Required"}])),
    Case("a token is wanted or not", overseen(rules=[RULE | {"signIn": "Never"}]), "signIn"),
    Case("an approval may be for a session", overseen(rules=[RULE | {"remember": "Session"}])),
    Case("or for nothing else", overseen(rules=[RULE | {"remember": "Never"}])),
    Case("and for nothing between", overseen(rules=[RULE | {"remember": "Task"}]), "remember"),
    Case("oversight may name tools", overseen(rules=[RULE], timeoutSeconds=60, onTimeout="Approve")),
    Case("seven days at most", overseen(timeoutSeconds=604801), "timeoutSeconds"),
    Case("a rule may be about data", overseen(rules=[{"name": "r", "contains": ["SSN", "Email"]}])),
    Case("kinds of data are known words", overseen(rules=[{"name": "r", "contains": ["Secrets"]}]),
         'supported values: "Email", "Phone", "CreditCard", "SSN", "IBAN", "APIKey"'),
    Case("a rule is about something", overseen(rules=[{"name": "r"}]),
         "toolPattern or contains must be set"),
    Case("a denial may end the task", overseen(onDeny="Escalate")),
    Case("a denial is no failure", overseen(onDeny="Fail"), "onDeny: Unsupported value"),
    Case("rules have names of their own", overseen(rules=[RULE, RULE]), "Duplicate value"),
    Case("approval says which", tool(approval={}), "approval.mode: Required value"),
    Case("a tool waits at most ten minutes", tool(timeoutSeconds=601), AT_MOST + " 600"),
    Case("output has an end", tool(maxOutputBytes=1048577), AT_MOST + " 1048576"),
    Case("a description has an end", tool(description="x" * 4097), "Too long"),
    Case("32 tools are allowed", tools(32)),
    Case("33 tools are not", tools(33), "spec.template.tools: Too many: 33: must have at most 32"),
    Case("two tools of one name cannot be told apart",
         {"template": {"tools": [MINIMAL_TOOL, MINIMAL_TOOL]}}, "Duplicate value"),
    # Limits
    Case("a limit of zero tool calls forbids tools", limits(toolCalls=0)),
    Case("a task calls the model at least once", limits(modelCalls=0), AT_LEAST + " 1"),
    Case("money is a decimal string", limits(costUSD="0.50")),
    Case("a millionth of a dollar is the smallest amount", limits(costUSD="0.000001")),
    Case("no money is no limit but a mistake", limits(costUSD="0"), MONEY),
    Case("no money in six places is the same mistake", limits(costUSD="0.000000"), MONEY),
    Case("debt is no limit", limits(costUSD="-1"), "limits.costUSD"),
    Case("seven places would be rounded", limits(costUSD="1.2345678"), "limits.costUSD"),
    Case("words are no money", limits(costUSD="abc"), "limits.costUSD"),
    Case("a unit of a quantity is no currency", limits(costUSD="5k"), "limits.costUSD"),
    Case("floats are no money", limits(costUSD=0.5), "must be of type string"),
    Case("a task may take a day", limits(wallSeconds=86400)),
    Case("no task takes longer", limits(wallSeconds=86401), AT_MOST + " 86400"),
    Case("durations have their unit in the name", limits(wallSeconds="2m"), "type integer"),
    Case("a loop is seen at the latest after 100 repeats", limits(identicalActions=101), AT_MOST),
    Case("an input has at least a character", limits(inputChars=0), AT_LEAST + " 1"),
    Case("an input has at most a million", limits(inputChars=1_000_001), AT_MOST),
    # Worker of the template
    Case("variables may be added", template(worker={"env": [{"name": "A_B", "value": "c"}]})),
    Case("a variable's name is one for a shell", template(worker={"env": [{"name": "A-B"}]}),
         "worker.env[0].name"),
    Case("a variable is set once", template(worker={"env": [{"name": "A"}, {"name": "A"}]}),
         "Duplicate value"),
    # Beside the template
    Case("an empty block is its defaults", {"scaling": {}, "worker": {}}),
    Case("an agent may sleep at zero workers", {"scaling": {"minReplicas": 0}}),
    Case("the smallest number is not above the largest", {"scaling": {"minReplicas": 3, "maxReplicas": 2}},
         "minReplicas must not exceed maxReplicas"),
    Case("nor above the largest by default", {"scaling": {"minReplicas": 21}},
         "minReplicas must not exceed maxReplicas"),
    Case("a worker is allowed at least", {"scaling": {"maxReplicas": 0}}, AT_LEAST + " 1"),
    Case("workers have an end", {"scaling": {"maxReplicas": 1001}}, AT_MOST + " 1000"),
    Case("a rate counts tasks a minute", {"budgets": {"perUser": {"requestsPerMinute": 20}}}),
    Case("a budget may only report", {"budgets": {"mode": "Report", "perTenant": {"requestsPerMinute": 1}}}),
    Case("a rate of none is no rate", {"budgets": {"perUser": {"requestsPerMinute": 0}}}, AT_LEAST + " 1"),
    Case("money is bounded by the calendar", {"budgets": {"costUSD": {"hourly": "5", "daily": "40"}}}),
    Case("a user has money of his own", {"budgets": {"perUser": {"costUSD": {"daily": "0.5"}}}}),
    Case("no money at all is no budget", {"budgets": {"costUSD": {"daily": "0"}}}, "above zero"),
    Case("tokens are counted", {"budgets": {"tokens": {"monthly": 0}}}, AT_LEAST + " 1"),
    Case("a session may be summarised", limits(contextTokens=1000)),
    Case("a history of few tokens is no history", limits(contextTokens=999), AT_LEAST + " 1000"),
    Case("a history is bounded", limits(contextTokens=10_000_001), AT_MOST + " 10000000"),
    Case("a tier is for some tasks", template(tiers=[{"name": "easy", "model": "claude-haiku-5-5", "maxTokens": 512,
         "maxInputChars": 400, "taskTypes": ["simple_qa"]}, {"name": "rest", "model": "m"}])),
    Case("a tier has a model", template(tiers=[{"name": "easy"}]), "tiers[0].model: Required value"),
    Case("a tier has a name", template(tiers=[{"name": "Easy", "model": "m"}]), "spec.template.tiers[0].name"),
    Case("tiers are told apart by their names", template(tiers=[{"name": "a", "model": "m"}] * 2), "Duplicate value"),
    Case("there are at most eight tiers", template(tiers=[{"name": f"t{i}", "model": "m"} for i in range(9)]), "at most 8 items"),
    Case("a tier's types are bounded", template(tiers=[{"name": "a", "model": "m", "taskTypes": ["t"] * 33}]), "at most 32 items"),
    Case("a tier's reply has tokens", template(tiers=[{"name": "a", "model": "m", "maxTokens": 0}]), AT_LEAST + " 1"),
    Case("an input of no length is none", template(tiers=[{"name": "a", "model": "m", "maxInputChars": 0}]), AT_LEAST + " 1"),
    Case("a budget may go on with a cheaper model", {"budgets": {"onExceeded": "Degrade"}}),
    Case("an agent has words for its end users", template(messages={"escalated": "A person will answer.", "unavailable": "", "blocked": "x" * 2000})),
    Case("words for end users are bounded", template(messages={"blocked": "x" * 2001}), "Too long"),
    Case("a brake names tools and models", {"restrictions": {"denyTools": ["refund"], "requireApproval": ["t_1"],
         "denyModels": ["claude-sonnet-5-5"], "maxCostUSDPerTask": "0.05"}}),
    Case("a brake names as many tools as an agent has", {"restrictions": {"denyTools": ["t"] * 33}}, "at most 32 items"),
    Case("a brake names as many models", {"restrictions": {"denyModels": ["m"] * 33}}, "at most 32 items"),
    Case("what needs approval is bounded", {"restrictions": {"requireApproval": ["t"] * 33}}, "at most 32 items"),
    Case("a denied tool has a name", {"restrictions": {"denyTools": ["a b"]}}, "spec.restrictions.denyTools[0]"),
    Case("a task may not cost nothing", {"restrictions": {"maxCostUSDPerTask": "0"}}, MONEY),
    Case("a budget says how short a reply may be", {"budgets": {"minReplyTokens": 1, "onExceeded": "Escalate"}}),
    Case("a reply of no tokens is none", {"budgets": {"minReplyTokens": 0}}, AT_LEAST + " 1"),
    Case("a reply is no longer than any may be", {"budgets": {"minReplyTokens": 64001}}, AT_MOST + " 64000"),
    Case("a budget knows what follows", {"budgets": {"onExceeded": "Warn"}}, 'supported values: "Reject", "Degrade", "Escalate"'),
    Case("a budget enforces or reports", {"budgets": {"mode": "Warn"}}, 'supported values: "Enforce", "Report"'),
    Case("a queue of one task is a queue", {"scaling": {"maxQueuedTasks": 1}}),
    Case("a queue of a million is the longest", {"scaling": {"maxQueuedTasks": 1_000_000}}),
    Case("a queue holds a task", {"scaling": {"maxQueuedTasks": 0}}, AT_LEAST + " 1"),
    Case("a queue has an end", {"scaling": {"maxQueuedTasks": 1_000_001}}, AT_MOST + " 1000000"),
    Case("2,000 tasks on one worker are allowed", {"worker": {"concurrency": 2000}}),
    Case("one more is not", {"worker": {"concurrency": 2001}}, AT_MOST + " 2000"),
    Case("a person may ask for more than the backlog may", {"scaling": {"replicas": 30}}),
    Case("a person may not ask for less than nothing", {"scaling": {"replicas": -1}}, AT_LEAST),
    Case("quantities are those of pods",
         {"worker": {"resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}}}}),
    Case("a word is no quantity", {"worker": {"resources": {"limits": {"memory": "much"}}}},
         "must be quantities, such as"),
    Case("less than nothing is no quantity", {"worker": {"resources": {"requests": {"cpu": "-1"}}}},
         "must be quantities, such as"),
    Case("tolerations are those of pods", {"worker": {"tolerations": [
        {"key": "gpu", "operator": "Equal", "value": "a", "effect": "NoSchedule"}]}}),
    Case("an effect of a taint is one of three", {"worker": {"tolerations": [{"effect": "Never"}]}},
         "tolerations[0].effect"),
    Case("a node label has a legal value", {"worker": {"nodeSelector": {"zone": "a b"}}},
         "nodeSelector"),
    Case("a worker runs a task at least", {"worker": {"concurrency": 0}}, AT_LEAST + " 1"),
    Case("a record is kept at least", {"revisionHistoryLimit": 0}, AT_LEAST + " 1"),
    Case("releasing without a rollout is a policy", {"rolloutPolicy": "Immediate"}),
    Case("a policy is one of two", {"rolloutPolicy": "Yolo"}, 'values: "Guarded", "Immediate"'),
    Case("suspending is yes or no", {"suspended": "yes"}, "must be of type boolean"),
    Case("a misspelt field is not dropped in silence", {"suspend": True},
         'unknown field "spec.suspend"'),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
async def test_an_agent(case, trial):
    answer = await trial.would_create(manifest("Agent", case.spec))
    if case.said is None:
        assert answer is None
    else:
        assert case.said in (answer or "accepted")


@pytest.mark.parametrize("kind", ["Agent", "AgentRollout"])
async def test_a_name_may_have_63_characters_and_not_one_more(kind, trial):
    assert await trial.would_create(manifest(kind, name="a" * 63)) is None
    answer = await trial.would_create(manifest(kind, name="a" * 64))
    assert "metadata.name must have at most 63 characters" in (answer or "accepted")


@pytest.mark.parametrize("kind", ["Agent", "AgentRollout"])
async def test_an_object_without_a_spec_is_refused(kind, trial):
    document = manifest(kind)
    del document["spec"]
    assert "spec: Required value" in (await trial.would_create(document) or "accepted")
