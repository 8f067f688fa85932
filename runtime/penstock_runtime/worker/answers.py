"""A task's way to the response cache."""

import hashlib

from penstock import errors
from penstock_runtime import instrumentation
from penstock_store.answers import Asker
from penstock_store.records import Claim
from penstock_store.store import Store


class TenantAnswers:
    """The loop's ``Answers`` for one claimed task: those of its agent and tenant."""

    def __init__(self, store: Store, claim: Claim, meter: instrumentation.Meter) -> None:
        self._store = store
        self._agent = claim.agent
        self._asker = Asker(claim.task.tenant, claim.task.user)
        self._meter = meter

    async def find(self, digest: str) -> bytes | None:
        """See ``Answers.find``."""
        try:
            return await self._store.answers.find(self._agent, self._own(digest))
        except (errors.StoreUnavailable, errors.StoreRefused):
            self._meter.store_error()
            return None

    async def keep(self, digest: str, answer: bytes, seconds: int) -> None:
        """See ``Answers.keep``."""
        try:
            own = self._own(digest)
            await self._store.answers.keep(self._agent, own, answer, seconds, self._asker)
        except (errors.StoreUnavailable, errors.StoreRefused):
            self._meter.store_error()

    def _own(self, digest: str) -> str:
        """The digest as this tenant's: no two tenants share an answer."""
        return hashlib.sha256(f"{self._asker.tenant}\n{digest}".encode()).hexdigest()
