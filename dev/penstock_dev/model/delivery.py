"""The pace of a stream: all at once, at a token rate, with a stall, or in awkward pieces."""

import asyncio

from penstock_dev.model import exchange, wire
from penstock_dev.model.reply import Reply
from penstock_dev.model.script import Script


async def stream(call: exchange.Exchange, answer: Reply, message_id: str, scripted: Script) -> None:
    """Send a reply as server-sent events, as slowly and as brokenly as its script says."""
    events = wire.events(answer, message_id, call.request_id, scripted)
    await exchange.start(call, 200, exchange.EVENT_HEADERS)
    for pause_seconds, part in _schedule(events, answer.output_tokens, scripted):
        if pause_seconds:
            await asyncio.sleep(pause_seconds)
        await exchange.send_part(call, part, more=True)
    if scripted.keep_open and answer.ending == "complete":
        await exchange.left(call)
    elif answer.ending != "drop":
        # A dropped stream never says that it ends: the server closes the connection under it.
        await exchange.send_part(call, b"", more=False)


def _schedule(
    events: list[bytes], output_tokens: int, scripted: Script
) -> list[tuple[float, bytes]]:
    """The parts of a stream, each with the seconds to wait before it."""
    if not (scripted.tokens_per_second or scripted.stall_ms or scripted.chunk_bytes):
        return [(0.0, b"".join(events))]
    pause = 0.0
    if scripted.tokens_per_second:
        pause = output_tokens / scripted.tokens_per_second / len(events)
    timed = [(pause, event) for event in events]
    middle = len(timed) // 2
    timed[middle] = (pause + scripted.stall_ms / 1000, timed[middle][1])
    return _split(timed, scripted.chunk_bytes) if scripted.chunk_bytes else timed


def _split(timed: list[tuple[float, bytes]], size: int) -> list[tuple[float, bytes]]:
    return [
        (pause if start == 0 else 0.0, event[start : start + size])
        for pause, event in timed
        for start in range(0, len(event), size)
    ]
