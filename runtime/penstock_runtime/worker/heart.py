"""The heartbeat of a process: its claims are renewed at a fixed rate, whatever else it does."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from penstock import errors
from penstock_runtime import logs
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.worker.contact import HEARTBEAT, Contact
from penstock_runtime.worker.crew import Crew, Duty
from penstock_runtime.worker.hold import Hold
from penstock_store.records import Claim, Directive, Telling
from penstock_store.store import Store

_BATCH: Final = 250  # claims in one call: a batch that gets no answer in time holds up no other

log = logs.get()


class Heart:
    """Renews the claims of a crew, and passes on what the store wants of each task.

    ``missed`` is called each time that claims could not be renewed.
    """

    def __init__(
        self, store: Store, crew: Crew, duty: Duty, contact: Contact, missed: Callable[[], None]
    ) -> None:
        self._store = store
        self._crew = crew
        self._duty = duty
        self._contact = contact
        self._missed = missed
        self._clock = asyncio.get_running_loop().time
        self._refused: set[str] = set()  # claims that cannot be renewed; asked about one by one

    async def beat(self) -> None:
        """Renew for ever; a beat begins when one is due, however long the former took."""
        while True:
            began = self._clock()
            await caught(self._renew())
            await asyncio.sleep(max(0.0, self._duty.heartbeat_seconds - (self._clock() - began)))

    async def _renew(self) -> None:
        self._crew.meter.unwritten(self._crew.unwritten)
        self._crew.renew_refused_credentials()
        self._crew.refresh_prices()
        holds = self._crew.holds
        self._refused &= {hold.claim.id for hold in holds}
        if not holds:
            if await self._contact.asked(HEARTBEAT, self._lives()) is None:
                self._missed()
            return
        apart = [[hold] for hold in holds if hold.claim.id in self._refused]
        others = [hold for hold in holds if hold.claim.id not in self._refused]
        batches = [others[start : start + _BATCH] for start in range(0, len(others), _BATCH)]
        await asyncio.gather(*map(self._renew_batch, [*batches, *apart]))

    async def _lives(self) -> bool:
        await self._store.ping()
        await self._beat([])
        return True

    async def _beat(self, claims: Sequence[Claim]) -> dict[str, Directive]:
        """Renew claims, and pass on what the model has said since the beat before."""
        last_word, duty = self._crew.last_word, self._duty
        news, telling = last_word.news, None
        if news:
            told_ms = last_word.age_ms(news)
            telling = Telling(duty.agent, duty.revision, news.access, told_ms)
        directives = await self._store.claims.heartbeat(claims, duty.consumer, telling)
        if news:
            last_word.told(news)
        return directives

    async def _renew_batch(self, holds: Sequence[Hold]) -> None:
        """Renew some claims; where one of them is refused, the others are renewed without it."""
        claims = [hold.claim for hold in holds]
        said = await caught(self._beat(claims))
        if not isinstance(said, Broken):
            self._contact.succeeded(HEARTBEAT)
            for hold in holds:
                self._refused.discard(hold.claim.id)
                hold.tell(said.get(hold.claim.id, Directive.LOST))
        elif isinstance(said.error, errors.StoreUnavailable):
            self._contact.failed(HEARTBEAT, said)
            self._missed()
        elif len(holds) > 1:
            half = len(holds) // 2
            await asyncio.gather(*map(self._renew_batch, [holds[:half], holds[half:]]))
        else:
            self._refuse(holds[0], said)

    def _refuse(self, hold: Hold, broken: Broken) -> None:
        if hold.claim.id in self._refused:
            return
        self._refused.add(hold.claim.id)
        self._crew.meter.store_error()
        words = "a claim cannot be renewed; its task goes on"
        log.error(words, task=hold.task_id, error=broken.words, where=broken.where)
