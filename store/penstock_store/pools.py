"""Pools: what a vendor lets all who come with one credential ask of a model in a minute."""

from dataclasses import dataclass
from typing import Final

from penstock.money.pool import NO_SHARE, UNSAID, PerMinute, Share
from penstock_store.agent_scripts import AgentScripts
from penstock_store.connection import Argument

_UNDECLARED: Final = -1


@dataclass(frozen=True)
class Wanted:
    """What a worker asks a pool for.

    ``back`` is what it was lent and has not used, ``need`` what a call that waits takes, ``more``
    what those that follow within a second will. ``declared`` are the installation's limits, ``told``
    those that the vendor has told this worker. ``raised`` is by how many tokens of a call and of a
    reply a bill was above its bound.
    """

    agent: str
    need: Share
    more: Share = NO_SHARE
    back: Share = NO_SHARE
    declared: PerMinute = UNSAID
    told: PerMinute = UNSAID
    raised: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Lent:
    """What a pool answers.

    ``share`` is lent, with what was needed; None: nothing is, and it is worth asking again in
    ``wait_ms``. ``is_unbounded``: nothing is counted. ``told``: what the vendor has told anybody.
    ``raised``: by how much bills of anybody were above their bounds; half of it is forgotten in a day.
    """

    share: Share | None
    wait_ms: int = 0
    is_unbounded: bool = False
    told: PerMinute = UNSAID
    raised: tuple[int, int] = (0, 0)


class Pools:
    """The pools of a namespace, one for each address, model and credential."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def borrow(self, key: str, wanted: Wanted) -> Lent:
        """Borrow of a pool for a second, and give back what was borrowed before.

        Args:
            key: of ``keys.pool``.
            wanted: what for.
        """
        shares = (*wanted.back.figures, *wanted.need.figures, *wanted.more.figures)
        declared = (_UNDECLARED if n is None else n for n in wanted.declared.figures)
        told = (n or 0 for n in wanted.told.figures)
        script = self._scripts.script("pool")
        arguments: list[Argument] = [
            wanted.agent,
            *(f"{n:.9g}" for n in shares),
            *declared,
            *told,
            *wanted.raised,
        ]
        lent, wait_ms, *amounts = await self._scripts.connection.run(script, [key], arguments)
        requests, read, written, is_unbounded, *limits, call, reply = amounts
        share = Share(float(requests), float(read), float(written)) if lent else None
        known = PerMinute(*(int(float(limit)) or None for limit in limits))
        raised = int(call), int(reply)
        return Lent(share, int(wait_ms), bool(is_unbounded), known, raised)
