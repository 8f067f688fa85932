"""A reader who types the commands of a README, and no others."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from penstock_dev import traffic
from penstock_dev.environment import Environment

ROOT = Path(__file__).parents[3]
PROGRAMS = ("kubectl ", "penstock ", "python ")
POLL_SECONDS = 0.2


def commands_of(readme: str) -> list[str]:
    """The commands in the code blocks, without comments, joined lines whole."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", "").splitlines()
    typed = [re.sub(r"\s+#.*$", "", line).strip() for line in lines]
    return [re.sub(r" {2,}", " ", line) for line in typed if line.startswith(PROGRAMS)]


@dataclass
class Reader:
    """Types commands in the repository's folder, in a namespace of the test's own."""

    folder: Path
    environment: Environment
    namespace: str
    path: Path
    typed: list[str] = field(default_factory=list)

    @property
    def commands(self) -> list[str]:
        """What the README says to type."""
        return commands_of(self.page)

    @property
    def page(self) -> str:
        """The README."""
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def type(self, command: str, exits: int = 0, **given: str) -> str:
        """Run a command of the README, exactly as it stands there, and return what it prints.

        ``exits``: the code it ends with; ``given``: what a reader puts in the place of words like ID.
        """
        self._note(command)
        words = (given.get(word, word) for word in command.split(" "))
        done = self._call(" ".join(words))
        assert done.returncode == exits, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout

    def refused(self, command: str) -> str:
        """Run one that does not succeed; what it says of that."""
        done = self._run(command)
        assert done.returncode != 0, f"{command}: {done.stdout}"
        return done.stderr

    def outside(self, command: str) -> str:
        """Run a command that the README does not have, for comparison; what it prints."""
        done = self._call(command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        self._note(command)
        return self._call(command)

    def _call(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=330,
            check=False,
        )

    def _note(self, command: str) -> None:
        assert command in self.commands, f"not in the README: {command}; it has {self.commands}"
        self.typed.append(command)

    @property
    def _variables(self) -> dict[str, str]:
        """With the programs of `programs_in`, and where `penstock` finds the environment."""
        return {
            **os.environ,
            "PATH": f"{self.path}:{os.environ['PATH']}",
            "PENSTOCK_STATE_DIR": str(self.environment.state_dir),
        }

    @contextlib.contextmanager
    def beside(self, command: str) -> Iterator[None]:
        """Run one that ends with `&`, for the length of a `with` block."""
        self._note(f"{command} &")
        with subprocess.Popen(shlex.split(command), cwd=ROOT, env=self._variables) as running:
            try:
                yield
                assert running.poll() is None, f"it has ended: {command}"
            finally:
                running.terminate()

    def typed_all_but(self, *others: str) -> bool:
        """Whether every command of the README was typed, but for those that tests replace."""
        return set(self.commands) - set(self.typed) == set(others)

    def look(self, kind: str, name: str, path: str) -> str:
        """One value of an object, empty when there is none."""
        kubectl = self.path / "kubectl"
        done = subprocess.run(
            [kubectl, "get", kind, name, "-o", f"jsonpath={{{path}}}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout

    def until(self, what: str, look: Callable[[], str], wanted: Callable[[str], bool]) -> str:
        """Poll until a value is as wanted; it fails with the last one."""
        deadline = time.monotonic() + 120
        while not wanted(seen := look()):
            assert time.monotonic() < deadline, f"not seen: {what}; last: {seen!r}"
            time.sleep(POLL_SECONDS)
        return seen

    def columns(self, command: str) -> dict[str, str]:
        """What `kubectl get` prints of the only object, by column."""
        head, row = self.type(command).splitlines()
        starts = [match.start() for match in re.finditer(r"\S+", head)]
        ends = [*starts[1:], None]
        return {
            head[start:end].strip(): row[start:end].strip()
            for start, end in zip(starts, ends, strict=True)
        }

    async def ask(self, agent: str, question: str) -> traffic.Answer:
        """What `penstock run` does: one task, and its answer."""
        target = self._target(agent)
        async with target.client() as client:
            return await traffic.ask(client, target, "reader", question, wait_seconds=30)

    def _target(self, agent: str) -> traffic.Target:
        gateway_url = self.environment.gateway_url
        assert gateway_url
        assert httpx.get(f"{gateway_url}/readyz", trust_env=False).is_success
        return traffic.Target(gateway_url, self.environment.token, agent, self.namespace)

    @contextlib.contextmanager
    def traffic(self, agent: str) -> Iterator[None]:
        """What `penstock dev traffic` does, for the length of a `with` block."""
        command = [sys.executable, "-m", "penstock_dev", "traffic", agent, "-n", self.namespace]
        command += ["--state-dir", str(self.environment.state_dir)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sending:
            try:
                yield
            finally:
                sending.send_signal(signal.SIGINT)
                said, _ = sending.communicate(timeout=30)
                print(said)
        assert sending.returncode == 0


def programs_in(folder: Path, environment: Environment, namespace: str) -> Path:
    """A folder for the PATH: kubectl, penstock and python, set up for the namespace."""
    kubectl = [environment.kubectl, "--kubeconfig", environment.kubeconfig, "-n", namespace]
    for name, words, last in (
        ("kubectl", kubectl, ""),
        ("penstock", [sys.executable, "-m", "penstock_cli"], f" -n {namespace}"),
        ("python", [sys.executable], ""),
    ):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"{last}\n')
        program.chmod(0o755)
    return folder
