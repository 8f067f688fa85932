"""Breakers: what all workers of a namespace know together of a model's endpoint."""

from dataclasses import dataclass
from typing import Final

from penstock_store.agent_scripts import AgentScripts

_LONGEST_WAIT_MS: Final = 600_000  # then it is asked once more, whatever it said


@dataclass(frozen=True)
class BreakerRules:
    """After how many outages in a row nobody asks an endpoint, and for how long.

    ``lasting_ms``: so long the row must last, so that answers which others got meanwhile are told.
    ``try_ms``: so long one that is let through keeps the others out.
    """

    outages: int = 5
    lasting_ms: int = 500
    open_ms: int = 60_000
    try_ms: int = 10_000


@dataclass(frozen=True)
class BreakerState:
    """How a breaker stands: after so many ``outages`` in a row it is closed or ``is_open``.

    Where it is open, it may be tried in ``wait_ms``; ``may_try`` says that the one who asked is to
    do so. ``opened``: by this very call. ``asked_to_wait_ms``: for so long the endpoint wants nobody
    who comes with the same account.
    """

    outages: int = 0
    is_open: bool = False
    wait_ms: int = 0
    may_try: bool = False
    opened: bool = False
    asked_to_wait_ms: int = 0


class Breakers:
    """The breakers of model endpoints, one for each namespace, address and model."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def tell(
        self,
        key: str,
        rules: BreakerRules,
        *,
        outage: str = "",
        answered_ms_ago: int | None = None,
        wants_try: bool = False,
        account: str = "",
        asked_to_wait_ms: int = 0,
    ) -> BreakerState:
        """Tell what a worker has met since it last told, and hear how the breaker stands.

        Args:
            key: of ``keys.breaker``.
            rules: when it opens.
            outage: the class of failure of a call that got no answer; empty: none did.
            answered_ms_ago: when the last call was answered; None when none was.
            wants_try: ask to be let through where it has been open for long enough.
            account: what tells the worker's credential from others.
            asked_to_wait_ms: for so long the endpoint has just asked to be left alone by it; 0: it has
                not.
        """
        told = (
            int(bool(outage)),
            -1 if answered_ms_ago is None else answered_ms_ago,
            int(wants_try),
        )
        pace = (account, min(asked_to_wait_ms, _LONGEST_WAIT_MS), outage)
        bounds = (rules.outages, rules.lasting_ms, rules.open_ms, rules.try_ms)
        script = self._scripts.script("breaker")
        said = await self._scripts.connection.run(script, [key], (*told, *bounds, *pace))
        outages, is_open, wait_ms, may_try, opened, asked_ms = map(int, said)
        return BreakerState(
            outages,
            bool(is_open),
            wait_ms,
            may_try=bool(may_try),
            opened=bool(opened),
            asked_to_wait_ms=asked_ms,
        )
