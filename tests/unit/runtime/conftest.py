"""An agent's template and a run of it, to be changed by each test."""

import pytest

from penstock.api.agent import AgentTemplate
from penstock.money import prices
from penstock.names import AgentKey
from penstock.task import Usage
from penstock_runtime import instrumentation
from penstock_runtime.agent import loop
from penstock_runtime.agent.models import pricing, retrying, scripted
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.agent.transcript import Transcript
from penstock_runtime.worker import boot
from tests.unit.runtime.fakes import Tools

ORDER_SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string", "pattern": "^[A-Z][0-9]+$"}},
    "required": ["order"],
    "additionalProperties": False,
}


def tool(name, effect="ReadOnly", **more):
    return {
        "name": name,
        "inputSchema": ORDER_SCHEMA,
        "effect": effect,
        "http": {"url": "http://127.0.0.1:9/" + name},
        **more,
    }


TOOLS = [
    tool("look_up"),
    tool("cancel", effect="Irreversible", approval={"mode": "None"}),
    tool("refund", effect="Irreversible"),
]


@pytest.fixture
def template():
    def make(tools=TOOLS, **limits):
        return AgentTemplate.model_validate(
            {
                "instructions": "Help.",
                "model": {"name": "claude-sonnet-5-5", "maxTokens": 1000},
                "tools": tools,
                "limits": limits,
            }
        )

    return make


@pytest.fixture
def tools(template):
    return toolbox.build(template().tools)


@pytest.fixture
def run():
    return Run(Transcript.start((), "Where is A1?"), Usage())


PRICES = pricing.Fixed(prices.flat("1", "5"), prices.Overhead(0, 0, 0))


@pytest.fixture
def agent(template):
    def make(replies, tools=None, **limits):
        declared = template(**limits)
        asked = scripted.ScriptedModel(replies) if isinstance(replies, list) else replies
        last_word = LastWord()
        meter = instrumentation.Meter(AgentKey("test", "agent"), "agent-00000000", "model")
        return loop.Agent(
            template=declared,
            model=boot.layered_model(asked, PRICES, meter, last_word, retrying.Policy(2, 0.0)),
            toolbox=toolbox.build(declared.tools),
            tools=boot.layered_tools(tools or Tools(), meter),
            meter=meter,
            prices=PRICES,
            last_word=last_word,
        )

    return make
