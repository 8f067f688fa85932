"""What the server was asked, for assertions of tests and for a look by hand."""

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

KEPT_REQUESTS = 1000
LARGEST_KEPT_BODY_BYTES = 65_536


@dataclass(frozen=True)
class Entry:
    """One answered request; `outcome` is how it was answered, such as `end_turn` or `error 400`.

    `usage`: the tokens it is charged, as the answer says them; None where there is no message.
    """

    at: float
    request_id: str
    path: str
    model: str
    prompt: str
    outcome: str
    stream: bool
    drawn: int | None
    raw: bytes
    usage: Mapping[str, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """The entry as the journal shows it, with the parsed body (none when it was large)."""
        shown = {key: value for key, value in vars(self).items() if key != "raw"}
        return shown | {"body": json.loads(self.raw) if self.raw else None}


class Journal:
    """Counts of all requests since the last reset, and the last thousand of them whole."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT_REQUESTS)
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.starts: dict[str, str] = {}

    def record(self, entry: Entry, system_text: str) -> None:
        """Count a request and keep it, without its body when that is large."""
        large = len(entry.raw) > LARGEST_KEPT_BODY_BYTES
        self.entries.append(replace(entry, raw=b"") if large else entry)
        self.counts[entry.prompt, entry.model, entry.outcome] += 1
        if entry.prompt not in self.starts:
            self.starts[entry.prompt] = system_text[:120]

    def as_json(self, last: int) -> dict[str, Any]:
        """Totals per prompt and model, and the newest `last` requests, oldest of them first."""
        grouped: dict[tuple[str, str], dict[str, int]] = {}
        for (prompt, model, outcome), count in self.counts.items():
            grouped.setdefault((prompt, model), {})[outcome] = count
        return {
            "total": self.counts.total(),
            "prompts": [
                {
                    "prompt": prompt,
                    "promptStart": self.starts[prompt],
                    "model": model,
                    "requests": sum(outcomes.values()),
                    "outcomes": outcomes,
                }
                for (prompt, model), outcomes in grouped.items()
            ],
            "requests": [entry.as_json() for entry in list(self.entries)[-last:]] if last else [],
        }
