"""What the calls of a gateway work with."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from penstock_runtime.gateway import places, streams
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.links import Links
from penstock_runtime.gateway.outages import Outages
from penstock_runtime.gateway.remembering import Answer, Remembered
from penstock_runtime.gateway.stopping import Stopping
from penstock_runtime.gateway.webhooks.targets import Target
from penstock_store.scripts import Retention
from penstock_store.store import Store

_REACHED_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Gateway:
    """What the routes work with."""

    store: Store
    access: Access
    stopping: Stopping = field(default_factory=Stopping)
    ping_seconds: float = streams.PING_SECONDS
    streams: places.Places = field(default_factory=places.streams)
    waits: places.Places = field(default_factory=places.waits)
    kept_seconds: float = Retention().ended_task_seconds
    targets: Mapping[str, Target] = field(default_factory=dict)  # webhooks
    links: Links | None = None
    aside: tuple[
        Callable[[], Coroutine[Any, Any, None]], ...
    ] = ()  # runs beside the calls, for ever
    outages: Outages = field(default_factory=Outages)
    now: Callable[[], float] = lambda: 0.0  # seconds since 1970; 0: no task is called expired

    _reached: Remembered[str, bool] = field(default_factory=lambda: Remembered(1))

    async def reach_store(self) -> None:
        """Make sure that the store answers; however many ask, it is asked once a second.

        Raises:
            StoreUnavailable: it does not.
        """

        async def ping() -> Answer[bool]:
            await self.store.ping()
            return Answer(True, _REACHED_SECONDS)  # noqa: FBT003 - the answer itself

        await self._reached.get("store", ping)

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.now() * 1000)
