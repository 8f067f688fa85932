"""What a worker has heard last of its credential and its model, until the operator is told."""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.access import Access
from penstock_runtime.agent.context import LIVE
from penstock_runtime.agent.models.model import Model, ModelFailed, Reply, Request, Wrapper


@dataclass(frozen=True)
class News:
    """A word that was not passed on yet; ``at_seconds`` by the worker's own clock."""

    access: Access
    at_seconds: float


class LastWord:
    """The newest word on a worker's access to its model; older ones are of no use to anybody."""

    def __init__(self, clock: Callable[[], float] = LIVE.seconds) -> None:
        self._clock = clock
        self._last: Access | None = None
        self._of: dict[str, Access] = {}
        self.news: News | None = None

    def heard(self, access: Access, model: str = "") -> None:
        """A call has just said this of a model. An answer of one hides not that another is not found."""
        self._of[model] = access
        if access is Access.ACCEPTED and Access.MODEL_NOT_FOUND in self._of.values():
            access = Access.MODEL_NOT_FOUND
        self._last = access
        self.news = News(access, self._clock())

    def refresh(self, renew_credentials: Callable[[], bool]) -> None:
        """Where the credential was refused, look whether there is another one by now."""
        if self._last is Access.CREDENTIALS_REFUSED and renew_credentials():
            self.heard(Access.UNTRIED)

    def age_ms(self, news: News) -> int:
        """How long ago that was heard."""
        return max(0, round((self._clock() - news.at_seconds) * 1000))

    def told(self, news: News) -> None:
        """It was passed on; what was heard since was not."""
        if self.news is news:
            self.news = None


class Watched(Wrapper):
    """A model whose answers are listened to for what they say about access.

    An outage, a limit or a broken answer says nothing about it.
    """

    def __init__(self, model: Model, last_word: LastWord, name: str = "") -> None:
        super().__init__(model)
        self._last_word = last_word
        self._name = name

    async def reply(self, request: Request) -> Reply:
        """Ask, and listen. See ``Model.reply``."""
        try:
            answer = await self._model.reply(request)
        except ModelFailed as failure:
            if failure.access:
                self._last_word.heard(failure.access, self._name)
            raise
        self._last_word.heard(Access.ACCEPTED, self._name)
        return answer
