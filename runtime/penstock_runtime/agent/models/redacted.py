"""A model that repeats no credential."""

from dataclasses import replace

from penstock_runtime import redaction
from penstock_runtime.agent.models import echo
from penstock_runtime.agent.models.model import Reply, Request, Wrapper


class Redacted(Wrapper):
    """Takes known credentials out of replies: these are kept, shown, and their inputs go to tools.

    An endpoint may repeat the key it was sent. Thinking beside something that was replaced is left
    out, since it is signed over it.
    """

    async def reply(self, request: Request) -> Reply:
        """Ask, and filter the answer. See ``Model.reply``."""
        reply = await self._model.reply(request)
        content = tuple(redaction.redact_all(block) for block in reply.content)
        if content == reply.content:
            return reply
        kept = tuple(block for block in content if block["type"] not in echo.THINKING)
        return replace(reply, content=kept, counted_by="")  # what is counted is not what is kept
