"""A model that is not asked while restrictions deny it."""

from penstock_runtime.agent.models.model import Failure, Model, ModelFailed, Reply, Request, Wrapper


class Permitted(Wrapper):
    """A model that is not asked while restrictions deny it by its name."""

    def __init__(self, model: Model, name: str) -> None:
        super().__init__(model)
        self._name = name

    async def reply(self, request: Request) -> Reply:
        """See ``Model.reply``."""
        self._check(request)
        return await self._model.reply(request)

    async def count_tokens(self, request: Request) -> int | None:
        """See ``Model.count_tokens``."""
        self._check(request)
        return await self._model.count_tokens(request)

    def _check(self, request: Request) -> None:
        if self._name in request.denied:
            raise ModelFailed(Failure.DENIED, "restrictions.denyModels names it")
