"""The share is moved by hand with `kubectl patch`, and users keep their side."""

import time

import pytest

from penstock import traffic
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

USERS = 800
#: Nothing but the hand moves the share here, however slow the machine is.
PATIENT = {"latencyMeanSeconds": 3600}


def first_admission_after_patch(product: Product, percent: int, canary: str) -> float:
    """Seconds from the return of `kubectl patch` to the first user whom the new share admits.

    That user's bucket is the last one below the new share, so no smaller share gives him the
    canary.
    """
    salt = product.rollout()["salt"]
    user = next(
        name
        for name in (f"scout-{percent}-{number}" for number in range(100_000))
        if traffic.bucket(salt, name) == percent - 1
    )
    product.set_percent(percent)
    returned = time.monotonic()
    product.until(
        f"{user} on the canary",
        lambda: product.ask(user).json().get("revision") == canary,
        seconds=60,
    )
    return time.monotonic() - returned


@pytest.mark.timeout(400)
def test_a_patch_moves_the_share_at_once_and_users_stay_where_they_are(product: Product) -> None:
    product.cluster.apply(
        manifests.agent("v1"), manifests.rollout(manifests.PARKED, guardrails=PATIENT)
    )
    stable = product.until_stable()
    product.cluster.apply(manifests.agent("v2"))
    canary = product.until_canary(stable)
    product.until_share(5)

    seconds = [first_admission_after_patch(product, percent, canary) for percent in (8, 14, 20)]
    print(f"first admission after kubectl patch: {[round(each, 2) for each in seconds]} s")

    users = [f"user-{number}" for number in range(USERS)]
    at_20 = product.crowd(users)
    share = 100 * by_revision(at_20)[canary] / USERS
    print(f"share of {USERS} new users at 20 %: {share:.1f} %")
    assert 15 <= share <= 25
    salt = product.rollout()["salt"]
    assert {one.user for one in at_20 if one.revision == canary} == {
        user for user in users if traffic.bucket(salt, user) < 20
    }, "exactly the users whom the salt puts there"
    reported = [
        {"revision": stable, "role": "Stable", "percent": 80},
        {"revision": canary, "role": "Candidate", "percent": 20},
    ]
    product.until("the Agent says so", lambda: product.agent()["traffic"]["targets"] == reported)

    early = [one.user for one in at_20 if one.revision == canary]
    others = [one.user for one in at_20 if one.revision == stable][:400]
    first_admission_after_patch(product, 50, canary)
    again = product.crowd(early + others)
    on_canary = {one.user for one in again if one.revision == canary}
    assert set(early) <= on_canary, "once on the canary, a user stays as its share rises"
    moved = 100 * len(on_canary & set(others)) / len(others)
    print(f"of the users on stable at 20 %, {moved:.1f} % are on the canary at 50 %")
    assert 30 <= moved <= 45, "three eighths"

    assert product.rollout()["share"]["source"] == "Setpoint"
    product.set_percent(None)
    product.until(
        "the steps have the share again, where the hand left it",
        lambda: (
            product.rollout()["share"] | {"observedPercent": 0}
            == {"percent": 50, "source": "Automatic", "observedPercent": 0}
        ),
    )
    spoken = product.ask(early[0], session="a conversation").json()["revision"]
    product.set_percent(0)
    product.until_share(0)
    product.until(
        "the route has it", lambda: product.ask(early[0]).json().get("revision") == stable
    )
    assert set(by_revision(product.crowd(early[:50]))) == {stable}, "a lower share acts at once"
    again = product.ask(early[0], session="a conversation").json()["revision"]
    assert spoken == again == canary, "but a conversation that has begun stays"
