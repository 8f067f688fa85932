"""What Redis keeps of copies of tasks, in more detail than the product reads it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.money.ledger import Amount
from penstock.names import AgentKey
from penstock.shadow import Verdict
from penstock_store import codec, keys
from penstock_store.store import Store


@dataclass(frozen=True)
class Seen:
    """What copies have shown of a canary, and what they cost.

    ``verdicts`` counts them; ``not_made`` those that were not made or not heard of, by why. ``spent`` is what their
    calls have used and what those that run hold. ``differing``: the newest that went another way, newest first.
    """

    drawn: int
    verdicts: Mapping[str, int]
    not_made: Mapping[str, int]
    spent: Amount
    differing: Sequence[Mapping[str, Any]]

    @property
    def judged(self) -> int:
        """How many copies say something."""
        return sum(self.verdicts.values()) - self.verdicts.get(Verdict.LEFT_OUT, 0)

    @property
    def agreed(self) -> int:
        """How many went the way of stable's task."""
        return self.verdicts.get(Verdict.AGREES, 0)


async def seen(store: Store, agent: AgentKey, revision: str) -> Seen:
    """What copies have shown of a revision so far, by its hash."""
    tag, read = keys.AgentKeys(agent).tag, store.copies._scripts.connection.read
    counts = codec.pairs(await read("HGETALL", f"{tag}:shadow:seen:{revision}"))
    place = codec.pairs(await read("HGETALL", f"{tag}:led:shadow:{revision}:total:0"))
    found = await read("LRANGE", f"{tag}:shadow:found:{revision}", "0", "-1")
    figures = {name: int(count) for name, count in counts.items() if name != "since"}
    drawn = figures.pop("drawn", 0)
    verdicts = {verdict: figures.pop(verdict) for verdict in Verdict if verdict in figures}
    tokens, micro_usd = (
        int(place.get(settled, 0)) + int(place.get(held, 0))
        for settled, held in (("t", "ot"), ("u", "ou"))
    )
    told = tuple(json.loads(one) for one in found)
    return Seen(drawn, verdicts, figures, Amount(tokens, micro_usd), told)
