"""Run a process node: python -m penstock_dev.node --kubeconfig K --state-dir D."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
from pathlib import Path

import httpx

from penstock_dev import kube, processes, signals
from penstock_dev.node import kubelet, launch
from penstock_dev.node.forks import Forks
from penstock_dev.node.pod import Host


async def _run(arguments: argparse.Namespace) -> None:
    """The node until SIGTERM or SIGINT; its pods' processes end with it."""
    state_dir, log_dir = arguments.state_dir.resolve(), arguments.log_dir.resolve()
    owner = os.environ.get(processes.OWNER_VARIABLE, str(state_dir))
    processes.collects_orphans()
    # One context without certificates, for probes check none.
    http = httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False)
    async with http, kube.KubeClient.from_kubeconfig(arguments.kubeconfig) as client:
        host = Host(
            client=client,
            http=http,
            node_name=arguments.name,
            state_dir=state_dir,
            log_directory=log_dir,
            runtime_image=arguments.image,
            client_ca=arguments.client_ca.resolve(),
            owner=owner,
            forks=Forks(launch.base_environment(owner), state_dir),
        )
        node = asyncio.create_task(kubelet.run(host))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, node.cancel)
        try:
            await node
        except asyncio.CancelledError:
            print("stopped", flush=True)


def main() -> None:
    """Parse the command line and run."""
    signals.as_in_the_foreground()
    parser = argparse.ArgumentParser(prog="python -m penstock_dev.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--log-dir", type=Path, required=True)
    parser.add_argument("--client-ca", type=Path, required=True)
    parser.add_argument("--name", default="penstock-dev")
    parser.add_argument("--image", default="penstock-runtime:dev")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
