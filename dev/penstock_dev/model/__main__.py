"""`python -m penstock_dev.model`: the fake Messages server as a process."""

import argparse
import asyncio
import dataclasses
import os
import signal
import sys
import threading

from penstock_dev import signals
from penstock_dev.model import app, ratelimit, server


def main() -> None:
    """Serve until told to stop, after one line that names the address."""
    signals.as_in_the_foreground()
    arguments = _parser().parse_args()
    limits = ratelimit.Limits(
        arguments.requests_per_minute,
        arguments.input_tokens_per_minute,
        arguments.output_tokens_per_minute,
    )
    settings = app.Settings(arguments.require_key, limits)
    server.take_many_connections()
    listener = server.listen(arguments.host, arguments.port)
    host, port = listener.getsockname()[:2]
    print(f"listening on http://{host}:{port}", flush=True)
    if arguments.exit_with_stdin:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    running = server.make_server(app.App(arguments.seed, settings))
    asyncio.run(running.serve(sockets=[listener]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m penstock_dev.model", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port",
        type=int,
        default=8765,
        help="0 takes a free port; the first line printed names it",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="fixes what every scripted percentage does"
    )
    parser.add_argument(
        "--require-key",
        nargs="?",
        const="",
        metavar="KEY",
        help="answer 401 without a key, or without this key",
    )
    for field in dataclasses.fields(ratelimit.Limits):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=field.default, help="per model line")
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="stop when standard input is closed"
    )
    return parser


def _stop_at_end_of_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
