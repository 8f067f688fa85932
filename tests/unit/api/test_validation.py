"""What the schema cannot say: sizes, tools, and stored objects that no longer fit."""

from __future__ import annotations

import pytest

from penstock import revision
from penstock.api import validation
from penstock.api.rollout import Setpoint
from penstock.api.validation import Reason
from penstock.errors import InvalidResource

MODEL = {"name": "claude-sonnet-5-5"}


def tool(name="refund", **schema):
    whole = {"type": "object"} | schema
    return {"name": name, "inputSchema": whole, "http": {"url": "http://orders/refund"}}


def padded_schema(size):
    """An inputSchema of exactly that many bytes."""
    empty = validation.size_bytes({"type": "object", "description": ""})
    return {"description": "x" * (size - empty)}


def problem(*tools, references=None, **template):
    return validation.template_problem(
        {"model": MODEL, "instructions": "Answer.", "tools": list(tools), **template}, references
    )


def test_a_plain_template_has_no_problem():
    assert problem(tool(type="object")) is None


def test_a_template_without_tools_has_no_problem():
    assert validation.template_problem({"model": MODEL, "instructions": "Answer."}) is None


def test_a_malformed_tool_schema_is_told_with_the_tool_and_the_place():
    found = problem(tool(), tool("book", properties={"at": {"type": "time"}}))
    assert found is not None
    assert found.reason is Reason.INVALID_TOOL
    assert found.message.startswith(
        "tool \"book\": inputSchema.properties.at.type is 'time'; write"
    )


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?=x)", "a)|(b", "[a", "{x}"])
def test_a_pattern_that_no_worker_could_use_is_told_with_its_place(pattern):
    ruled = tool() | {
        "approval": {"mode": "When", "rules": [{"argument": "to", "pattern": pattern}]}
    }
    told = problem(ruled)
    assert (told.reason, 'tool "refund": approval.rules[0].pattern' in told.message) == (
        Reason.INVALID_TOOL,
        True,
    )
    rules = [{"name": "any"}, {"name": "odd", "toolPattern": pattern}]
    told = problem(tool(), oversight={"rules": rules})
    assert told.reason is Reason.INVALID
    assert told.message.startswith("spec.template.oversight.rules[1].toolPattern cannot be used: ")


@pytest.mark.parametrize("pattern", ["refund|pay_.*", "^re", "a{2}"])
def test_a_pattern_that_workers_use_is_none(pattern):
    ruled = tool() | {
        "approval": {"mode": "When", "rules": [{"argument": "to", "pattern": pattern}]}
    }
    assert problem(ruled, oversight={"rules": [{"name": "x", "toolPattern": pattern}]}) is None


def test_a_complaint_about_a_very_long_name_stays_short():
    found = problem(tool(properties={"a" * 10_000: 5}))
    assert found is not None
    assert len(found.message) < 600


def test_an_input_schema_may_have_16_kib_and_not_a_byte_more():
    assert problem(tool(**padded_schema(16 * 1024))) is None
    found = problem(tool(**padded_schema(16 * 1024 + 1)))
    assert found is not None
    assert found.reason is Reason.TOO_LARGE
    assert 'tool "refund": inputSchema has 16.0 KiB of 16.0 KiB' in found.message


def test_a_template_may_have_200_kib_and_not_a_byte_more():
    tools = [tool(f"t{i}", **padded_schema(13 * 1024)) for i in range(15)]
    whole = {"model": MODEL, "tools": tools, "instructions": ""}
    rest = 200 * 1024 - validation.size_bytes(whole)
    assert problem(*tools, instructions="x" * rest) is None
    found = problem(*tools, instructions="x" * (rest + 1))
    assert found is not None
    assert found.reason is Reason.TOO_LARGE
    assert "of its 15 tools (the largest is" in found.message
    assert "instructionsFrom" in found.message


def test_sizes_are_counted_in_bytes_as_stored():
    assert validation.size_bytes({"a": "é"}) == len(b'{"a":"\xc3\xa9"}')


def test_referenced_text_has_an_end_too():
    assert problem(references={"configmap/prompt/a": "x" * 250_000}) is None
    found = problem(references={"configmap/prompt/a": "x" * 270_000})
    assert found is not None
    assert found.reason is Reason.TOO_LARGE
    assert "ConfigMap" in found.message


def test_the_record_of_the_largest_template_fits_a_configmap():
    tools = [tool(f"t{i}", **padded_schema(13 * 1024)) for i in range(14)]
    template = {
        "model": MODEL,
        "tools": tools,
        "instructionsFrom": {"configMapKeyRef": {"name": "prompt", "key": "a"}},
        "worker": {"env": [{"name": f"V{i}", "value": "v" * 500} for i in range(32)]},
    }
    references = {"configmap/prompt/a": "Answer." + "\n" * 131_000}
    assert validation.size_bytes(template) > 195 * 1024
    assert validation.size_bytes(references) > 255 * 1024
    assert validation.template_problem(template, references) is None
    cut = revision.cut("support", template, references, "image")
    assert validation.size_bytes(cut.document()) < 1024 * 1024


def test_a_tool_schema_of_ten_thousand_levels_ends_in_a_sentence():
    schema = {}
    for _ in range(10_000):
        schema = {"not": schema}
    found = problem(tool(**schema))
    assert found is not None
    assert "32 levels" in found.message


def test_what_costs_too_much_to_check_is_told_of_the_tool():
    links = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(30)}
    schema = {"properties": {"a": {"$ref": "#/$defs/n0"}}, "$defs": {**links, "n30": {}}}
    found = problem(tool("book", **schema))
    assert found is not None
    assert found.reason is Reason.INVALID_TOOL
    assert found.message.startswith('tool "book": inputSchema stands for more than 10000 schemas')


def at(url):
    return tool() | {"http": {"url": url}}


BAD_TOOLS = {
    "a choice at the top": (tool(anyOf=[{}]), "the model's API takes no anyOf at the top"),
    "a name with a space": (tool("re fund"), "the model's API takes names of 1 to 64 letters"),
    "no name": (tool(""), "takes names of 1 to 64 letters"),
    "a name of 65 letters": (tool("a" * 65), "takes names of 1 to 64 letters"),
    "a password in its address": (at("http://u:hunter2@orders/"), "http.url holds a user or a"),
    "a line break in its address": (at("http://orders/\r\nX: y"), "http.url has the character U+000D"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOOLS)
def test_a_tool_that_no_task_could_use_is_refused_with_the_remedy(name):
    bad, expected = BAD_TOOLS[name]
    found = problem(tool("good"), bad)
    assert found is not None
    assert found.reason is Reason.INVALID_TOOL
    assert expected in found.message
    assert "hunter2" not in found.message


def test_two_tools_of_one_name_are_refused():
    found = problem(tool("refund"), tool("refund"))
    assert found is not None
    assert found.reason is Reason.INVALID_TOOL
    assert "there is another one of this name" in found.message


BAD_TEMPLATES = {
    "a blank prompt": ({"instructions": " \n\t"}, "instructions: the model's API takes no blank"),
    "a query in baseURL": (
        {"model": MODEL | {"baseURL": "http://model/?key=1"}}, "model.baseURL has a part behind ?",
    ),
    "a user in baseURL": (
        {"model": MODEL | {"baseURL": "http://u:hunter2@model/"}}, "model.baseURL holds a user",
    ),
    "a control character in baseURL": (
        {"model": MODEL | {"baseURL": "http://model/\x01"}}, "model.baseURL has the character U+0001",
    ),
    "a model with a space at its end": (
        {"model": {"name": "claude-sonnet-5-5 "}}, 'model.name "claude-sonnet-5-5 " has a space',
    ),
    "a key that is a folder": (
        {"model": MODEL | {"credentialsSecretRef": {"name": "a", "key": ".."}}}, 'key is ".."',
    ),
    "an image with a space": ({"worker": {"image": "acme/worker:1 "}}, "is no image: write"),
    "an image in capitals": ({"worker": {"image": "ghcr.io/Acme/worker:1"}}, "is no image"),
    "an image with a scheme": ({"worker": {"image": "https://ghcr.io/acme/worker"}}, "is no image"),
    "NUL in the environment": (
        {"worker": {"env": [{"name": "A", "value": "a\0b"}]}}, "worker.env A has the character U+0000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TEMPLATES)
def test_a_template_that_no_worker_could_run_is_refused_with_the_remedy(name):
    template, expected = BAD_TEMPLATES[name]
    found = problem(**template)
    assert found is not None
    assert found.reason is Reason.INVALID
    assert found.message.startswith("spec.template.")
    assert expected in found.message
    assert "hunter2" not in found.message


def test_a_blank_prompt_is_refused_wherever_it_comes_from():
    found = problem(references={"configmap/prompt/system.md": "\n"})
    assert found is not None
    assert "configmap/prompt/system.md: the model's API takes no blank prompt" in found.message


@pytest.mark.parametrize(
    "image",
    ["worker", "worker:1", "penstock-runtime:dev", "localhost/worker", "localhost:5000/a/b:1.2",
     "registry:5000/worker", "ghcr.io/acme/worker:v1.2.3-rc.1", "10.0.0.1:5000/acme/a__b",
     "ghcr.io/acme/worker@sha256:" + "0" * 64, "ghcr.io/acme/worker:1@sha256:" + "a" * 64,
     "[::1]:5000/worker"],
)  # fmt: skip
def test_an_image_of_every_day_is_accepted(image):
    assert problem(worker={"image": image}) is None


def test_any_text_is_a_prompt():
    for text in ("You help sailors 🚢.", "𝕏", "a\0b", "a\u2028b", "{{ }} ${X} %s"):
        assert problem(instructions=text) is None


def agent(**spec):
    return {"spec": {"template": {"instructions": "Answer.", "model": MODEL}, **spec}}


def test_a_stored_agent_is_read_with_its_defaults():
    spec = validation.parse_agent(agent(scaling={"minReplicas": 2}))
    assert spec.scaling.min_replicas == 2
    assert spec.scaling.max_replicas == 20
    assert spec.template.limits.cost_usd == "0.50"


@pytest.mark.parametrize("declared", [1, 5000, 1_000_000, None])
def test_the_bound_of_the_queue_is_what_the_agent_says_and_nothing_when_it_says_nothing(declared):
    scaling = {} if declared is None else {"maxQueuedTasks": declared}
    spec = validation.parse_agent(agent(scaling=scaling))
    assert spec.scaling.max_queued_tasks == declared
    assert spec.wire()["scaling"].get("maxQueuedTasks") == declared


def test_a_worker_may_run_2000_tasks_and_not_one_more():
    assert validation.parse_agent(agent(worker={"concurrency": 2000})).worker.concurrency == 2000
    with pytest.raises(InvalidResource, match=r"spec\.worker\.concurrency is 2001"):
        validation.parse_agent(agent(worker={"concurrency": 2001}))


def test_a_stored_rollout_with_an_empty_block_is_read_as_without_it():
    spec = validation.parse_rollout({"spec": {"agentRef": {"name": "support"}, "traffic": {}}})
    assert spec.traffic == Setpoint()


def test_fields_of_a_newer_version_are_passed_over():
    assert validation.parse_agent(agent(soon={"a": 1})).suspended is False


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        ({}, "spec.template is missing"),
        (
            agent(scaling={"minReplicas": 2000}),
            "spec.scaling.minReplicas is 2000: Input should be less than or equal to 1000",
        ),
        (
            agent(rolloutPolicy="Later", revisionHistoryLimit=0),
            "spec.revisionHistoryLimit is 0: Input should be greater than or equal to 1 (and 1 more)",
        ),
        (
            agent(worker={"tolerations": [{"key": 5}]}),
            "spec.worker.tolerations[0].key is 5: Input should be a valid string",
        ),
        (agent(worker=[]), "spec.worker: Input should be"),
    ],
)
def test_a_stored_object_that_no_longer_fits_is_told_in_one_line(resource, sentence):
    with pytest.raises(InvalidResource) as refusal:
        validation.parse_agent(resource)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"baseURL": "http://[::1"}, "model.fallbacks[0].baseURL"),
        ({"name": "claude haiku"}, "model.fallbacks[0].name"),
        (
            {"credentialsSecretRef": {"name": "spare", "key": "..data"}},
            "model.fallbacks[0].credentialsSecretRef.key",
        ),
    ],
)
def test_a_fallback_is_checked_as_the_model_is(entry, told):
    model = MODEL | {"fallbacks": [{"name": "claude-haiku-5-5", **entry}]}
    found = problem(model=model)
    assert found is not None
    assert told in found.message
