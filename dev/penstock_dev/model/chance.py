"""Seeded randomness: which requests fail, refuse, break off or ask for tools.

Each system prompt has a sequence of numbers of its own, fixed by the server's seed and the prompt; each new request takes
the next one. The content of a message never matters, so identical questions still meet different fates, and the same
seed and order of requests give the same run.
"""

import hashlib
import random
from dataclasses import dataclass

from penstock_dev.model.script import Script


@dataclass(frozen=True)
class Fate:
    """What chance decided for one request, each flag by a draw of its own, in this order."""

    error: bool = False
    garbage: bool = False
    refusal: bool = False
    tools: bool = True
    cut: bool = False
    stream_error: bool = False
    drop: bool = False


def number(seed: int, prompt_digest: str, index: int) -> int:
    """Number `index` of a prompt's sequence: 64 bits, uniform."""
    text = f"{seed}:{prompt_digest}:{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def fate(script: Script, drawn: int) -> Fate:
    """The fate that a number of the sequence means under a script.

    One generator seeded by the number gives one uniform value per flag, in the order of the fields of `Fate`, whether or
    not the script uses it: changing one percentage never moves another flag.
    """
    uniform = random.Random(drawn).random
    return Fate(
        error=uniform() * 100 < script.error_percent,
        garbage=uniform() * 100 < script.garbage_percent,
        refusal=uniform() * 100 < script.refusal_percent,
        tools=uniform() * 100 < script.tool_call_percent,
        cut=uniform() * 100 < script.cut_stream_percent,
        stream_error=uniform() * 100 < script.stream_error_percent,
        drop=uniform() * 100 < script.drop_stream_percent,
    )


class Draws:
    """How many numbers each prompt has used."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._used: dict[str, int] = {}

    def take(self, prompt_digest: str) -> int:
        """The next number of the prompt's sequence."""
        index = self._used.get(prompt_digest, 0)
        self._used[prompt_digest] = index + 1
        return number(self.seed, prompt_digest, index)
