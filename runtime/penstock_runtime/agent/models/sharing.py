"""Models that share a worker: the one of the Agent, and those of its tiers."""

from collections.abc import Sequence

from penstock_runtime.agent.models.model import Model, Wrapper


class Sharing(Wrapper):
    """A model that is kept up to date and closed together with others."""

    def __init__(self, model: Model, others: Sequence[Model]) -> None:
        super().__init__(model)
        self._others = tuple(others)

    def renew_credentials(self) -> bool:
        """Read each credential again; whether the first one's differs. See ``Model``."""
        renewed, *_ = [one.renew_credentials() for one in (self._model, *self._others)]
        return renewed

    async def aclose(self) -> None:
        """Close what each of them holds open."""
        for one in (self._model, *self._others):
            await one.aclose()
