"""A tool that does what it is asked at once and tells nobody about it: it hangs, dies, or answers for a proxy."""

import random
import threading
from http.server import ThreadingHTTPServer

from tests.integration.runtime.conftest import ToolHandler

#: What follows once a call is in the journal, and how often: of a hundred.
MOODS = {"ok": 40, "slow": 30, "hang": 10, "drop": 15, "refuse": 5}
SLOW_SECONDS = 0.4  # long enough that workers die meanwhile
HANG_SECONDS = 5.0  # longer than the tool may take


class MoodyHandler(ToolHandler):
    """Writes each call down, then behaves by the seed and the call's own key."""

    def do_POST(self):  # noqa: N802 - a name of the standard library
        key = self.headers["idempotency-key"]
        self.rfile.read(int(self.headers.get("content-length", 0)))
        mood = self.server.mood(key)
        if mood == "refuse":
            return self.answer(409, b"it was not done")
        self.server.journal.append(key)
        if mood in ("slow", "hang"):
            self.server.under_way.add(key)
            self.server.gate.wait(SLOW_SECONDS if mood == "slow" else HANG_SECONDS)
            self.server.under_way.discard(key)
        if mood in ("hang", "drop"):
            self.close_connection = True
            return None
        return self.answer(200, b"done")


class MoodyTool(ThreadingHTTPServer):
    """Its ``journal`` has the key of each call that was done; ``gate`` lets those ``under_way`` answer."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, seed):
        super().__init__(("127.0.0.1", 0), MoodyHandler)
        self.seed = seed
        self.journal = []
        self.under_way = set()
        self.gate = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def mood(self, key):
        """By the seed and the call's place, without the agent, whose name is drawn."""
        place = ".".join(key.split(".")[-3:])
        return random.Random(f"{self.seed}.{place}").choices([*MOODS], [*MOODS.values()])[0]

    def handle_error(self, request, client_address):
        """A worker that was killed hangs up without a word."""

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.shutdown()
        self.server_close()
        self._thread.join()
