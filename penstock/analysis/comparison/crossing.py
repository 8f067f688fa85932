"""The same users on both sides: what those who are on the canary did on stable, during the same rollout.

Where an excess may be that of the users who were drawn, these users tell whose it is: taken off, they are on stable. A canary that
fails no more than they did there is not its cause; one that fails clearly more, each time they come to it, is.
"""

from typing import Final, NamedTuple

from penstock.analysis.comparison import evalues
from penstock.analysis.comparison.compared import Compared

#: Of fewer tasks on stable no rate is told.
FEWEST_TASKS: Final = 20
#: What happens so rarely is no chance; and the rate that is asked at the least.
BY_CHANCE: Final = 0.01
_SMALLEST: Final = 0.001
#: A rate of which an excess is no longer asked.
_LARGEST: Final = 0.8


class Crossing(NamedTuple):
    """One kind of events of the users who are on the canary.

    ``events`` of ``tasks`` are the canary's since its share was last raised, or it came back. ``rate``: that of the same users on stable,
    each as often as he asks; None where too little is known. ``at_most``: the same with caution, where a bucket
    of which nothing is known fails always.
    """

    events: int
    tasks: int
    rate: float | None
    at_most: float

    def is_theirs(self, events: float, tasks: float) -> bool:
        """Whether they fail on stable as much as so many lately on the canary: chance alone may make the difference."""
        if self.rate is None:
            return False
        return evalues.tail(events, tasks, max(self.rate, _SMALLEST)) > BY_CHANCE

    def evidence(self) -> float:
        """How strong the evidence is, to one, that they fail more on the canary."""
        if self.rate is None or not self.tasks or self.at_most > _LARGEST:
            return 0.0
        return evalues.of_limit(self.events, self.tasks, self.at_most, evalues.ABOVE)


def of_events(seen: Compared, at: int, percent: int) -> Crossing:
    """Of one of RATIOS, while the canary has a share of so many percent: those buckets are its own."""
    whole, newest = seen.evidence.whole, max(range(len(seen.since)), key=lambda s: seen.since[s])
    lately = seen.evidence.since[newest].ratios[at]
    each = [
        (whole.canary[bucket] + n, whole.ratios[at].stable[bucket], n)
        for bucket, n in enumerate(whole.stable[:percent])
    ]
    known = [one for one in each if one[2]]
    enough = sum(n for _, _, n in known) >= FEWEST_TASKS
    rate = sum(w * k / n for w, k, n in known) / sum(w for w, _, _ in known) if enough else None
    asked = max(sum(w for w, _, _ in each), 1)
    at_most = sum(w * (k + 1) / (n + 1) for w, k, n in each) / asked
    return Crossing(lately.events, lately.tasks, rate, at_most)
