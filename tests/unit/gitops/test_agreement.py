"""No condition of an Agent denies what another one says of it, for every reason of the code."""

from __future__ import annotations

import pytest

from tests.unit.gitops import agents

DECLARED_IS_DONE = ("Suspended", "ScaledToZero", "BudgetSpent")


def said_of(name):
    document = agents.CASES[name][0]()
    return {one["type"]: one for one in document["status"]["conditions"]}


@pytest.fixture(params=agents.CASES)
def said(request):
    return said_of(request.param)


def test_what_is_declared_runs_only_where_it_is_newest_and_does_what_is_declared(said):
    if said["Reconciling"]["message"] != "what is declared is what runs":
        return
    assert said["UpToDate"]["status"] == "True"
    assert said["Ready"]["status"] == "True" or said["Ready"]["reason"] in DECLARED_IS_DONE


def test_who_is_not_ready_is_not_said_to_serve(said):
    if said["Ready"]["status"] == "True" or said["UpToDate"]["status"] == "False":
        return
    assert "serves" not in said["UpToDate"]["message"]


def test_the_wide_message_says_why_the_newest_revision_is_not_stable(said):
    if (said["Ready"]["status"], said["UpToDate"]["status"]) != ("True", "False"):
        return
    assert said["UpToDate"]["message"] in said["Ready"]["message"]


def test_nothing_waits_for_a_person_where_no_condition_asks_one(said):
    if said["Stalled"]["message"] != "nothing waits for a person":
        return
    commands = [one["message"] for one in said.values() if "kubectl " in one["message"]]
    assert commands == []


def test_these_cases_are_met():
    """Else the tests above could not fail."""
    assert said_of("serving")["Reconciling"]["message"] == "what is declared is what runs"
    assert said_of("serving")["Stalled"]["message"] == "nothing waits for a person"
    assert said_of("rolled_back")["UpToDate"]["status"] == "False"
    assert said_of("waking")["Ready"]["status"] == "False"
