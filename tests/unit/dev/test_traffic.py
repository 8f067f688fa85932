"""The traffic generator: the same users in every run, on time whatever the answers do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penstock_dev import traffic
from penstock_dev.traffic import Answer, Ledger, Pattern, Target


class Gateway(BaseHTTPRequestHandler):
    """Serves odd users by revision a-1, even ones by a-2; holds answers back until `gate` is set."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        if len(self.server.asked) >= self.server.open_after:
            self.server.gate.set()
        self.server.gate.wait(10)
        even = int(body["user"][-4:]) % 2 == 0
        self._answer(*self.server.answer(even))

    def _answer(self, status: int, document: object) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Takes a whole burst of connections at once: by default a sixth one may be reset."""

    request_queue_size = 128


def task(*, even: bool, status: str = "Succeeded") -> tuple[int, object]:
    document = {
        "id": "t",
        "revision": "a-2" if even else "a-1",
        "status": status,
        "output": "Good morning",
        "outcome": {"reason": "", "message": ""},
        "usage": {"wallSeconds": 0.25},
    }
    return 200, document


@pytest.fixture
def gateway() -> Iterator[ThreadingHTTPServer]:
    server = Server(("127.0.0.1", 0), Gateway)
    server.asked, server.gate, server.open_after = [], threading.Event(), 0
    server.answer = lambda even: task(even=even)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def target(server: ThreadingHTTPServer) -> Target:
    return Target(f"http://127.0.0.1:{server.server_port}", "secret", "support", "shop")


def burst(requests: int, users: int = 4) -> Pattern:
    return Pattern(rate_per_second=1000, users=users, seconds=requests / 1000)


def answered(user: int, revision: str, status: str = "Succeeded") -> Answer:
    return Answer(
        f"user-{user:04d}", "?", sent_at=user, waited_seconds=1, status=status, revision=revision
    )


def test_users_come_in_the_same_order_in_every_run() -> None:
    pattern = Pattern(users=3)
    assert [pattern.user(index) for index in range(4)] == [
        "user-0001",
        "user-0002",
        "user-0003",
        "user-0001",
    ]
    assert pattern.question(0) == pattern.question(0) != pattern.question(1)


async def test_each_request_is_a_task_of_its_user_for_the_agent_that_was_named(gateway) -> None:
    ledger = Ledger()
    await traffic.send(target(gateway), burst(8), ledger)
    assert ledger.sent == len(ledger.answers) == 8
    assert {path for path, _, _ in gateway.asked} == {"/v1/namespaces/shop/agents/support/tasks"}
    assert {token for _, token, _ in gateway.asked} == {"Bearer secret"}
    assert sorted(body["user"] for _, _, body in gateway.asked) == sorted(
        [f"user-{number:04d}" for number in (1, 2, 3, 4)] * 2
    )
    assert ledger.tally("a-1").tasks == ledger.tally("a-2").tasks == 4
    assert ledger.tally("a-2").processing_seconds == pytest.approx(1.0)


async def test_requests_leave_although_none_was_answered_yet(gateway) -> None:
    gateway.open_after = 20  # the first answer comes only when the twentieth request is there
    ledger = Ledger()
    await traffic.send(target(gateway), burst(20), ledger)
    assert ledger.tally("a-1").good + ledger.tally("a-2").good == 20


async def test_failed_and_unfinished_tasks_count_by_their_status(gateway) -> None:
    gateway.answer = lambda even: task(even=even, status="Failed" if even else "Running")
    ledger = Ledger()
    await traffic.send(target(gateway), burst(4), ledger)
    assert ledger.tally("a-2").statuses == {"Failed": 2}
    assert ledger.tally("a-1").statuses == {"Running": 2}
    assert ledger.tally("a-1").bad == 2


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        ((503, {"title": "no", "detail": "The agent is suspended."}), "Refused", "503 The agent"),
        ((200, b"<html>"), "NoAnswer", "JSONDecodeError"),
    ],
)
async def test_what_is_no_task_is_an_answer_without_a_revision(
    gateway, answer, status: str, message: str
) -> None:
    gateway.answer = lambda even: answer
    ledger = Ledger()
    await traffic.send(target(gateway), burst(1), ledger)
    assert ledger.tally("").statuses == {status: 1}
    assert ledger.answers[0].message.startswith(message)


async def test_a_gateway_that_is_away_is_told_and_ends_nothing() -> None:
    ledger = Ledger()
    await traffic.send(Target("http://127.0.0.1:1", "secret", "support"), burst(3), ledger)
    assert ledger.tally("").statuses == {traffic.NO_ANSWER: 3}
    assert "ConnectError" in ledger.answers[0].message


async def test_running_in_a_terminal_ends_with_a_line_per_revision(gateway) -> None:
    said: list[str] = []
    await traffic.run(target(gateway), burst(8), Ledger(), said.append)
    first, *rest = said[-1].splitlines()
    assert [first, *sorted(rest)] == [
        "8 requests, 8 answers",
        "  a-1: 4 tasks of 2 users: 4 Succeeded",
        "  a-2: 4 tasks of 2 users: 4 Succeeded",
    ]


def test_a_share_counts_users_and_not_their_requests() -> None:
    answers = [answered(1, "a-2"), *[answered(2, "a-1")] * 9, answered(3, "a-1")]
    assert traffic.share_percent(answers, "a-2") == pytest.approx(100 / 3)
    assert traffic.share_percent([answered(1, "", "Refused")], "a-2") is None


def test_tallies_subtract_to_what_happened_since() -> None:
    ledger = Ledger()
    ledger.add(answered(1, "a-1"))
    before = ledger.tally("a-1")
    ledger.add(answered(2, "a-1", "Failed"))
    since = ledger.tally("a-1") - before
    assert (since.tasks, since.bad, dict(since.statuses)) == (1, 1, {"Failed": 1})
    assert [answer.user for answer in ledger.sent_since(2)] == ["user-0002"]


def test_progress_names_each_revision_with_its_part_and_its_failures() -> None:
    ledger = Ledger(sent=5)
    for answer in [*[answered(1, "a-1")] * 3, answered(2, "a-2", "Failed")]:
        ledger.add(answer)
    line = traffic.progress(ledger, 12)
    assert line == "   12 s  5 sent, 4 answered: a-1 3 (75 %), a-2 1 (25 %, 1 failed)"


async def test_what_was_refused_is_no_failed_task(gateway) -> None:
    problem = {"type": "https://penstock.dev/problems/not-assigned", "title": "no"}
    gateway.answer = lambda even: (503, problem) if even else task(even=even, status="Failed")
    ledger = Ledger()
    await traffic.send(target(gateway), burst(8), ledger)
    assert (ledger.tally("a-1").tasks, ledger.tally("a-1").bad) == (4, 4)
    assert (ledger.tally("").tasks, ledger.tally("").bad) == (0, 0)
    line = traffic.progress(ledger, 1)
    assert line.endswith("8 answered: a-1 4 (100 %, 4 failed), 4 refused (4 × 503 not-assigned)")
    assert traffic.summary(ledger).splitlines()[1:] == [
        "  a-1: 4 tasks of 2 users: 4 Failed",
        "  4 refused (4 × 503 not-assigned)",
    ]


def test_what_nobody_answered_is_told_beside_it() -> None:
    ledger = Ledger(sent=3)
    for answer in (answered(1, "a-1"), answered(2, "", traffic.NO_ANSWER)):
        ledger.add(answer)
    line = traffic.progress(ledger, 2)
    assert line.endswith("2 answered: a-1 1 (100 %), 1 without an answer")
