"""The on-call brake: what it forbids at the next step, and that it blames no revision."""

import pytest

from penstock import limits, restrictions
from penstock.api.restrictions import NO_RESTRICTIONS, Restrictions
from penstock.task import Counting, OutcomeReason, TaskStatus, Usage
from penstock_runtime.agent import loop
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.permitted import Permitted
from tests.unit.runtime.fakes import Notebook, Tools

A1 = {"order": "A1"}
MODEL = "claude-sonnet-5-5"


def by(**fields):
    return Restrictions.model_validate(fields)


class Pulled(Notebook):
    """A keeper that hears of restrictions at the save of that number; 0: from the beginning on."""

    def __init__(self, restricted, at=0):
        super().__init__()
        self.restricted, self.at = restricted, at

    @property
    def restrictions(self):
        return self.restricted if len(self.saved) >= self.at else NO_RESTRICTIONS


def asks(*names):
    return scripted.tool_use(*((f"c{number}", name, A1) for number, name in enumerate(names)))


@pytest.mark.parametrize("denied", [[], ["look_up"]])
async def test_a_denied_tool_is_not_called_and_the_model_is_told(agent, run, denied):
    tools = Tools()
    made = agent([asks("look_up"), scripted.text("Later.")], tools)
    ended = await loop.run_task(made, run, Pulled(by(denyTools=denied)))
    assert (ended.outcome.status, ended.outcome.output) == (TaskStatus.SUCCEEDED, "Later.")
    assert [name for name, *_ in tools.calls] == ["look_up"] * (not denied)
    said = ended.transcript.messages[2]["content"][0]
    assert said.get("is_error", False) is bool(denied)
    assert ("may not be called for now" in said["content"]) is bool(denied)
    assert ended.outcome.counting is (Counting.LEFT_OUT if denied else Counting.GOOD)


async def test_what_is_denied_while_a_reply_is_carried_out_is_not_called_any_more(agent, run):
    tools = Tools()
    made = agent([asks("cancel", "cancel"), scripted.text("Done.")], tools)
    keeper = Pulled(by(denyTools=["cancel"]), at=3)  # the reply, the intent, the first result
    ended = await loop.run_task(made, run, keeper)
    assert ended.outcome.status is TaskStatus.SUCCEEDED
    assert len(tools.calls) == 1
    first, second = ended.transcript.messages[2]["content"]
    assert (first["content"], "may not be called" in second["content"]) == ("shipped", True)


async def test_a_denied_tool_stays_on_offer_because_the_prompt_is_cached_with_it(agent, run):
    made = agent([scripted.text("Hi.")])
    assert made.under(by(denyTools=["look_up"])).toolbox.declared() == made.toolbox.declared()


@pytest.mark.parametrize("named", [[], ["look_up"]])
async def test_a_tool_that_a_restriction_names_asks_a_person_as_one_that_always_does(
    agent, run, named
):
    tools = Tools()
    made = agent([asks("look_up"), scripted.text("Here.")], tools)
    keeper = Pulled(by(requireApproval=named))
    if not named:
        ended = await loop.run_task(made, run, keeper)
        assert ended.outcome.status is TaskStatus.SUCCEEDED
        return
    with pytest.raises(Interrupted, match="Park"):
        await loop.run_task(made, run, keeper)
    assert keeper.asked.ask.why == "restrictions.requireApproval names it"
    assert not tools.calls


async def test_where_every_model_is_denied_a_task_goes_to_a_person_and_blames_nobody(agent, run):
    made = agent([scripted.text("Hi.")])
    made = loop.replace(made, model=Permitted(made.model, MODEL))
    ended = await loop.run_task(made, run, Pulled(by(denyModels=["another", MODEL])))
    outcome = ended.outcome
    assert (outcome.status, outcome.reason) == (TaskStatus.ESCALATED, OutcomeReason.RESTRICTED)
    assert outcome.counting is Counting.LEFT_OUT
    assert "restrictions.denyModels" in outcome.message
    free = await loop.run_task(made, run, Pulled(by(denyModels=["another"])))
    assert free.outcome.counting is Counting.GOOD


@pytest.mark.parametrize(
    ("most", "field", "left_out"),
    [("0.05", "restrictions.maxCostUSDPerTask", True), ("0.9", "limits.costUSD", False)],
)
async def test_the_smaller_cost_of_a_task_counts(agent, run, most, field, left_out):
    spent = run.used(Usage(model_calls=1, cost_micro_usd=600_000))
    made = agent([scripted.text("Hi.")])
    ended = await loop.run_task(made, spent, Pulled(by(maxCostUSDPerTask=most)))
    outcome = ended.outcome
    assert (outcome.status, outcome.reason) == (
        TaskStatus.LIMIT_EXCEEDED,
        OutcomeReason.LIMIT_COST,
    )
    assert f"{field} is {'0.05' if left_out else '0.50'}, " in outcome.message
    assert outcome.left_out is left_out


async def test_a_restriction_that_only_binds_the_next_call_names_itself_too(agent, run):
    made = agent([scripted.text("Hi.")])
    ended = await loop.run_task(made, run, Pulled(by(maxCostUSDPerTask="0.000001")))
    assert "restrictions.maxCostUSDPerTask is 0.000001" in ended.outcome.message
    assert ended.outcome.left_out


def test_other_limits_stay_as_they_are(template):
    declared = template(modelCalls=3)
    tight = restrictions.tightened(declared, by(maxCostUSDPerTask="0.01"))
    assert tight.limits.model_calls == 3
    assert limits.breach_before_call(tight.limits, Usage(model_calls=3)).left_out is False
    assert restrictions.tightened(declared, NO_RESTRICTIONS) is declared


def test_what_a_route_carries_is_read_back_and_nothing_is_nothing():
    given = by(denyTools=["a"], denyModels=["m"], maxCostUSDPerTask="1.5")
    mark, read = restrictions.read(restrictions.written(given))
    assert (len(mark), read) == (16, given)
    assert restrictions.written(NO_RESTRICTIONS) == restrictions.written(by(denyTools=[])) == ""
    assert restrictions.read("") == ("", NO_RESTRICTIONS)
