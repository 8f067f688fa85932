"""The demo's hands and eyes on the cluster: kubectl as a person types it, and both statuses."""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import dataclass, field

import httpx

from penstock_dev import kube
from penstock_dev.demo.seen import Document, Seen
from penstock_dev.environment import Environment

NAMESPACE = "default"
AGENT = "support"
_OBJECTS = "/apis/penstock.dev/v1alpha1/namespaces"
_LOOK_SECONDS = 0.25
_COMMAND_SECONDS = 30.0


class CommandFailed(Exception):
    """kubectl ended with an error; the message is what it said."""


@dataclass
class Cluster:
    """The running environment, and what was last seen in it."""

    environment: Environment
    client: kube.KubeClient
    seen: Seen = field(default_factory=Seen)

    async def run(self, command: str) -> str:
        """Run a kubectl command line and return its output. Raises CommandFailed."""
        program, *arguments = shlex.split(command)
        if program != "kubectl":
            raise CommandFailed(f"not a kubectl command: {command}")
        process = await asyncio.create_subprocess_exec(
            str(self.environment.kubectl),
            *arguments,
            env={**os.environ, "KUBECONFIG": str(self.environment.kubeconfig)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                output, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            raise CommandFailed(f"{command}: no answer in {_COMMAND_SECONDS:g} s") from None
        if process.returncode:
            raise CommandFailed(f"{command}: {errors.decode().strip()}")
        return output.decode()

    async def watch(self) -> None:
        """Keep `seen` fresh until cancelled."""
        while True:
            self.seen = await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> Seen:
        """What is there now; the last look again while the API server does not answer."""
        try:
            agent = await self.document("agents", AGENT)
            return self.seen.updated(agent, await self.document("agentrollouts", AGENT))
        except httpx.TransportError:
            return self.seen

    async def document(self, plural: str, name: str) -> Document:
        """An Agent or AgentRollout as it is now; empty where there is none."""
        try:
            return await self.client.get(f"{_OBJECTS}/{NAMESPACE}/{plural}/{name}")
        except kube.ApiError as error:
            if error.status != 404:
                raise
            return {}
