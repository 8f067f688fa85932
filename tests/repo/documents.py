"""What a document tells its reader to type, in pieces that a test can look at."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

#: What the first word of a block of commands may be; any other block shows output.
PROGRAMS = {
    "cd", "curl", "export", "helm", "kill", "kind", "kubectl", "make", "penstock", "python",
    "redis-cli", "source", "while",
}  # fmt: skip
ASSIGNMENT = re.compile(r"\w+=")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WORDS_OF_THE_SHELL = {"do", "done", "while"}
_LOOPS = {"for", "true"}


@dataclass(frozen=True)
class Command:
    """One call of a program as it stands in a document."""

    document: Path
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def flags(self) -> list[str]:
        """Long and short options without their values."""
        return [word.partition("=")[0] for word in self.words[1:] if re.match(r"--?[a-zA-Z]", word)]

    @property
    def verb(self) -> str:
        """The first word that is no option, of all but those whose value stands apart."""
        return next((word for word in self.words[1:] if not word.startswith("-")), "")

    def values(self, *names: str) -> list[str]:
        """The values of an option, given as `-f x`, `--file x` or `--file=x`."""
        found = []
        for word, after in zip(self.words, (*self.words[1:], ""), strict=True):
            name, equals, value = word.partition("=")
            if name in names:
                found.append(value if equals else after)
        return found


def fences(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block."""
    return _FENCE.findall(text)


def is_typed(language: str, block: str) -> bool:
    """Whether a block holds commands rather than output."""
    first = block.split(maxsplit=1)[:1]
    return not language and bool(first) and (
        first[0] in PROGRAMS or ASSIGNMENT.match(first[0]) is not None
    )  # fmt: skip


def commands(document: Path, block: str) -> list[Command]:
    """The calls in a block: pipes and lists apart, comments left out."""
    lines = _inner_calls(block.replace("\\\n", " ")).splitlines()
    return [Command(document, words) for line in lines for words in _calls(line)]


def _calls(line: str) -> list[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for token in lexer:
        if not token.strip("|&;"):
            found.append([])
        elif found[-1] or token not in _WORDS_OF_THE_SHELL:
            found[-1].append(token)
    return [tuple(words) for words in found if words and words[0] not in _LOOPS]


def _inner_calls(block: str) -> str:
    """The block with `name=$(call)` as the call itself, so that it is looked at, too."""
    return re.sub(r"^(\w+)=\$\((.*)\)$", r"\2", block, flags=re.MULTILINE)
