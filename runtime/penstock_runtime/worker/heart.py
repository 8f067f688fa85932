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

_TELL_AGAIN_SECONDS: Final = 60.0  # what Redis may have lost meanwhile
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
        self._asks = ("", 0.0)  # what was told last of whom the tasks ask, and when
        self._dropped = 0  # tasks, while Redis had not lost anything that was not said again

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
        breaks, agent = self._store.claims.breaks, self._duty.agent
        known, holds = breaks.last(agent), self._crew.holds
        heard = await self._renew_each(holds)
        if heard and known != breaks.last(agent):  # what was renewed before a break may be lost
            holds = self._crew.holds
            heard = await self._renew_each(holds)
        if heard and breaks.owes(agent, self._duty.consumer):
            await self._contact.asked("name_all", self._name_all(holds))
        elif heard:
            self._dropped = self._crew.dropped

    async def _name_all(self, renewed: Sequence[Hold]) -> bool:
        """Say that Redis knows again all that its break may have lost of this process: others may take what waits.

        Where that would not be true nothing is said: in the end a person is asked.
        """
        for hold in renewed:
            if hold.directive is not Directive.CONTINUE:  # it heard that instead
                hold.tell(Directive.REWRITE)
        writing = [hold.writing_again for hold in renewed if hold.writing_again]
        if writing:
            await asyncio.wait(writing, timeout=self._duty.heartbeat_seconds / 2)
        unknown = set(self._crew.holds) - set(renewed)
        owes = any(hold.owes_state for hold in renewed) or self._crew.dropped != self._dropped
        if not unknown and not owes:
            await self._store.claims.name_all(self._duty.agent, self._duty.consumer)
        return True

    async def _renew_each(self, holds: Sequence[Hold]) -> bool:
        """Whether Redis has renewed all claims."""
        self._refused &= {hold.claim.id for hold in holds}
        if not holds:
            if await self._contact.asked(HEARTBEAT, self._lives()) is None:
                self._missed()
                return False
            return True
        apart = [[hold] for hold in holds if hold.claim.id in self._refused]
        others = [hold for hold in holds if hold.claim.id not in self._refused]
        batches = [others[start : start + _BATCH] for start in range(0, len(others), _BATCH)]
        return all(await asyncio.gather(*map(self._renew_batch, [*batches, *apart])))

    async def _lives(self) -> bool:
        await self._store.ping()
        await self._beat([])
        return True

    async def _beat(self, claims: Sequence[Claim]) -> dict[str, Directive]:
        """Renew claims, and pass on what the model has said since the beat before."""
        last_word, duty = self._crew.last_word, self._duty
        news, telling = last_word.news, None
        asks = self._untold_asks()
        if news or asks:
            access, told_ms = (news.access, last_word.age_ms(news)) if news else (None, 0)
            telling = Telling(duty.agent, duty.revision, access, told_ms, asks)
        directives = await self._store.claims.heartbeat(claims, duty.consumer, telling, more=True)
        if news:
            last_word.told(news)
        if asks:
            self._asks = (asks, self._clock())
        return directives

    def _untold_asks(self) -> str:
        """Whom the tasks ask, where that is another than was told, or was told some time ago; else empty."""
        asks, (told, at) = self._crew.asks, self._asks
        return asks if asks != told or self._clock() - at >= _TELL_AGAIN_SECONDS else ""

    async def _renew_batch(self, holds: Sequence[Hold]) -> bool:
        """Renew some claims; where one of them is refused, the others are renewed without it."""
        claims = [hold.claim for hold in holds]
        said = await caught(self._beat(claims))
        if not isinstance(said, Broken):
            self._contact.succeeded(HEARTBEAT)
            for hold in holds:
                self._refused.discard(hold.claim.id)
                hold.tell(said.get(hold.claim.id, Directive.LOST))
            return True
        if isinstance(said.error, errors.StoreUnavailable):
            self._contact.failed(HEARTBEAT, said)
            self._missed()
        elif len(holds) > 1:
            half = len(holds) // 2
            return all(await asyncio.gather(*map(self._renew_batch, [holds[:half], holds[half:]])))
        else:
            self._refuse(holds[0], said)
        return False

    def _refuse(self, hold: Hold, broken: Broken) -> None:
        if hold.claim.id in self._refused:
            return
        self._refused.add(hold.claim.id)
        self._crew.meter.store_error()
        words = "a claim cannot be renewed; its task goes on"
        log.error(words, task=hold.task_id, error=broken.words, where=broken.where)
