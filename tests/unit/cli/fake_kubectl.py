"""A kubectl for the PATH of a test: answers from a file, and notes what it was asked.

Its directory, beside it, holds answers.json: the first words of a call → what it prints, or
{"error": line}. ``port-forward`` forwards nothing: it names the port in ``forwardedPort``.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """#!{python} -S
import json, os, signal, sys
here = os.path.dirname(os.path.abspath(__file__))
words = [word for word in sys.argv[1:] if not word.startswith("-")]
def note(**what):
    with open(os.path.join(here, "calls.jsonl"), "a") as calls:
        calls.write(json.dumps({{"pid": os.getpid(), **what}}) + "\\n")
note(arguments=sys.argv[1:])
with open(os.path.join(here, "answers.json")) as file:
    answers = json.load(file)
answer = answers[max((said for said in answers if " ".join(words).startswith(said)), key=len)]
if isinstance(answer, dict) and "error" in answer:
    sys.stderr.write("W1121 some warning\\nerror: " + answer["error"] + "\\n")
    sys.exit(1)
if words[0] != "port-forward":
    print(answer if isinstance(answer, str) else json.dumps(answer))
    sys.exit(0)
def leave(*_):
    note(ended=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
if answer["forwardedPort"]:
    print("Forwarding from 127.0.0.1:%d -> 8080" % answer["forwardedPort"], flush=True)
signal.pause()
"""


def service(name="penstock-gateway", port=80):
    return {"metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": port}]}}


@dataclass
class FakeKubectl:
    """The program, and what it answers."""

    directory: Path

    @classmethod
    def install(cls, directory):
        """Write the program into a directory for the PATH; it knows a cluster with a gateway."""
        directory.mkdir()
        program = directory / "kubectl"
        program.write_text(SCRIPT.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        fake = cls(directory)
        context = {"name": "staging", "context": {"cluster": "c", "namespace": "shop"}}
        fake.answers = {
            "config view": {"contexts": [context]},
            "get services": {"items": [service()]},
            "create token": "cluster-token\n",
            "port-forward": {"forwardedPort": 1},
        }
        return fake

    @property
    def answers(self):
        return json.loads((self.directory / "answers.json").read_text())

    @answers.setter
    def answers(self, answers):
        (self.directory / "answers.json").write_text(json.dumps(answers))

    def answer(self, said, answer):
        self.answers = {**self.answers, said: answer}

    @property
    def notes(self):
        path = self.directory / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def calls(self):
        """What it was asked, each without the program's name."""
        return [" ".join(note["arguments"]) for note in self.notes if "arguments" in note]

    @property
    def forwards(self):
        """Process ids of the port-forwards so far, in order."""
        asked = [note for note in self.notes if "arguments" in note]
        return [note["pid"] for note in asked if "port-forward" in note["arguments"]]

    @property
    def path(self):
        return f"{self.directory}{os.pathsep}/usr/bin{os.pathsep}/bin"
