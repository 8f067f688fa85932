"""What the loop runs tasks with: a template, its model in its layers, and its tools."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from penstock import restrictions
from penstock.api.agent import AgentTemplate
from penstock.api.restrictions import Restrictions
from penstock_runtime import instrumentation
from penstock_runtime.agent import braked
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.agent.models.model import NO_PROMPT, Model, PromptSize
from penstock_runtime.agent.models.pricing import Pricing
from penstock_runtime.agent.tools.toolbox import Toolbox
from penstock_runtime.agent.tools.toolset import Toolset


@dataclass(frozen=True)
class Agent:
    """What runs the tasks of one revision.

    ``prompt_tokens``: about how many the part of each request is that never changes, ``prompt`` how
    long it is at most.
    ``last_word``: what the model has said last of who asks and for what. ``tiers``: the same with the
    model of each tier, by name; ``tier`` is its own. ``asks``: which models it asks, as its workers tell it.
    """

    template: AgentTemplate
    model: Model
    toolbox: Toolbox
    tools: Toolset
    meter: instrumentation.Meter
    prices: Pricing
    prompt_tokens: int = 0
    prompt: PromptSize = NO_PROMPT
    last_word: LastWord = field(default_factory=LastWord)
    tier: str = ""
    asks: Callable[[], str] = field(default=str, compare=False, repr=False)
    tiers: Mapping[str, "Agent"] = field(default_factory=dict, compare=False, repr=False)

    def under(self, by: Restrictions) -> "Agent":
        """The agent as restrictions leave it."""
        if not by:
            return self
        template = restrictions.tightened(self.template, by)
        return replace(self, template=template, toolbox=braked.toolbox(self.toolbox, by))
