"""`python -m penstock_dev.model`: the fake Messages server as a process."""

import argparse
import asyncio
import os
import signal
import sys
import threading

from penstock_dev.model import app, server


def main() -> None:
    arguments = _parser().parse_args()
    settings = app.Settings(required_key=arguments.require_key)
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
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free port; the first line printed names it")
    parser.add_argument("--seed", type=int, default=1, help="fixes what every scripted percentage does")
    parser.add_argument(
        "--require-key", nargs="?", const="", metavar="KEY", help="answer 401 without a key, or without this key"
    )
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input is closed")
    return parser


def _stop_at_end_of_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
