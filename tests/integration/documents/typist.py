"""A person who follows a page: types its commands as they stand there, section by section, and none else."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock_dev.environment import Environment
from tests.integration.documents import pages

#: What a page writes for what its reader knows, mostly the names of the alert's labels.
PLACEHOLDERS = re.compile(r"\b(NAME-HASH|NAMESPACE|NAME|ROLLOUT|REVISION|VERSION|ID)\b")
_SECTION = re.compile(r"^#+ (.+)$", re.MULTILINE)
_INLINE = re.compile(r"`((?:kubectl|helm|redis-cli)\s[^`]+)`")
_FENCED = re.compile(r"^```(\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)
_FEWEST_WORDS = 3  # fewer name a verb in prose, as `helm upgrade` does


def sections(page: str) -> dict[str, list[str]]:
    """Heading → the commands below it, those in fences first, each whole, in one line."""
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    heads = list(_SECTION.finditer(_FENCED.sub(lambda block: " " * len(block[0]), text)))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    bodies = {h[1]: text[h.end() : end] for h, end in zip(heads, ends, strict=True)}
    return {head: found for head, body in bodies.items() if (found := _commands(body))}


def _commands(body: str) -> list[str]:
    fenced = [
        " ".join(line.split())
        for block in _FENCED.finditer(body)
        if not block[1]
        for line in block[0].replace("\\\n", " ").splitlines()[1:-1]
    ]
    prose = _FENCED.sub("", body)
    inline = [" ".join(found.split()) for found in _INLINE.findall(prose)]
    return [line for line in fenced if line] + [
        line for line in inline if len(line.split()) >= _FEWEST_WORDS
    ]


@dataclass(frozen=True)
class Shell:
    """A terminal whose kubectl and kubectl-penstock are set up for the environment."""

    environment: Environment
    programs: Path

    @classmethod
    def made(cls, environment: Environment, folder: Path) -> Shell:
        """Puts both programs into the folder."""
        plugin = "from penstock_cli.main import plugin; plugin()"
        for name, call in (
            ("kubectl", (environment.kubectl,)),
            ("kubectl-penstock", (sys.executable, "-c", plugin)),
        ):
            program = folder / name
            program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, call))} "$@"\n')
            program.chmod(0o755)
        return cls(environment, folder)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """One command; standard error is among what it prints."""
        own = {
            "KUBECONFIG": str(
                self.environment.kubeconfig
            ),  # no plugin takes options before its name
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PENSTOCK_GATEWAY_URL": self.environment.gateway_url or "",
            "PENSTOCK_TOKEN": self.environment.token,
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.programs,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )

    def succeeds(self, command: str) -> str:
        """What it prints; it must succeed."""
        done = self.run(command)
        print(f"$ {command}\n{done.stdout}")
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout


@dataclass
class Section:
    """One section of a page, with the commands that were typed of it.

    ``asks_rollout`` is the page's command that prints what stands for ROLLOUT.
    """

    shell: Shell
    title: str
    commands: list[str]
    words: dict[str, str]
    asks_rollout: str = ""
    typed: set[str] = field(default_factory=set)

    def type(self, part: str, **words: str) -> str:
        """Type the one command that has this part; what it prints. It must succeed.

        Args:
            words: what stands for placeholders from now on; `REVISION` is for NAME-HASH, too.
        """
        (command,) = [one for one in self.commands if part in one]
        self.typed.add(command)
        self.words |= words
        if "ROLLOUT" in command and not self.words.get("ROLLOUT"):
            self.words["ROLLOUT"] = self.shell.succeeds(self.filled(self.asks_rollout)).strip()
        return self.shell.succeeds(self.filled(command))

    def filled(self, command: str) -> str:
        """The command with what the reader knows in place of the placeholders."""
        known = {**self.words, "NAME-HASH": self.words.get("REVISION", "")}
        return PLACEHOLDERS.sub(lambda found: known[found[0]] or found[0], command)


@contextlib.contextmanager
def following(
    shell: Shell, page: str, title: str, words: Mapping[str, str], elsewhere: Mapping[str, str]
) -> Iterator[Section]:
    """Follow a section; at the end every command of it was typed, but for those tried elsewhere."""
    written = sections(page)
    asks_rollout = "".join(one for one in itertools.chain(*written.values()) if "agentRef" in one)
    section = Section(shell, title, written[title], dict(words), asks_rollout)
    yield section
    left = set(section.commands) - section.typed - elsewhere.keys()
    assert not left, f"not typed of {title}: {left}"
    both = section.typed & elsewhere.keys()
    assert not both, f"typed here, so nowhere else: {both}"
