"""kubectl as a program: it knows every kind of kubeconfig and sign-in, so this one need not."""

import asyncio
import json
import re
import shutil
from dataclasses import dataclass
from typing import Any, Final

_DEADLINE_SECONDS: Final = 30.0
#: The whole object, status included, that the API server quotes before it says what is wrong with it.
_OBJECT: Final = re.compile(r'(?:patch: )?Invalid value: "\{(?:[^"\\]|\\.)*": ')
#: Lines that kubectl writes beside its complaint: warnings, and its own log.
_ASIDE: Final = re.compile(r"Warning: |[WEI][0-9]{4} ")
_REQUEST_TIMEOUT: Final = "--request-timeout=10s"


class KubectlFailed(Exception):
    """A call of kubectl that brought nothing; the message says which, and why in its words.

    ``complaint``: all that it wrote to standard error, without its warnings.
    """

    def __init__(self, sentence: str, complaint: str = "") -> None:
        super().__init__(sentence)
        self.complaint = complaint or sentence


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig and context; empty: those it takes by itself.

    ``other``: the program that is taken where none is on the PATH.
    """

    kubeconfig: str = ""
    context: str = ""
    other: str = ""

    def command(self, *arguments: str) -> list[str]:
        """The words of a call.

        Raises:
            KubectlFailed: there is no such program.
        """
        program = shutil.which("kubectl") or self.other
        if not program:
            raise KubectlFailed("kubectl is not on the PATH")
        chosen = {"--kubeconfig": self.kubeconfig, "--context": self.context}
        return [
            program,
            *(f"{flag}={value}" for flag, value in chosen.items() if value),
            *arguments,
        ]

    async def read(self, *arguments: str, written: str | None = None) -> str:
        """What a call prints.

        Args:
            written: what it reads from its standard input; None: nothing.

        Raises:
            KubectlFailed: it ended with an error, or not in time.
        """
        command = self.command(*arguments, _REQUEST_TIMEOUT)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL if written is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                said, complained = await process.communicate(
                    None if written is None else written.encode()
                )
        except TimeoutError:
            why = f"no answer within {_DEADLINE_SECONDS:g} s"
            raise KubectlFailed(_failure(arguments, why)) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise KubectlFailed(_failure(arguments, last_words(complained)), _all_words(complained))
        return said.decode()

    async def read_json(self, *arguments: str, written: str | None = None) -> Any:
        """What a call prints with ``-o json``; see ``read``.

        Raises:
            KubectlFailed: it ended with an error, not in time, or printed something else.
        """
        said = await self.read(*arguments, "-o", "json", written=written)
        try:
            return json.loads(said)
        except ValueError as error:
            raise KubectlFailed(_failure(arguments, "it printed no JSON")) from error


def last_words(complained: bytes) -> str:
    """Why kubectl ended: the last line that it wrote to standard error."""
    lines = complained.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ").strip() if lines else "it said nothing"


def _all_words(complained: bytes) -> str:
    lines = complained.decode(errors="replace").strip().splitlines()
    said = "\n".join(line for line in lines if not _ASIDE.match(line)) or last_words(complained)
    return _OBJECT.sub("", said)


def _failure(arguments: tuple[str, ...], why: str) -> str:
    return f"kubectl {' '.join(arguments)}: {why}"
