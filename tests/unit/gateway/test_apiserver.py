"""Reviews: what is asked, what an answer means, and that nothing but an answer is a yes."""

from __future__ import annotations

import asyncio
import datetime
import http.server
import json
import ssl
import threading

import httpx
import pytest
import structlog

from penstock.errors import InvalidResource
from penstock.names import AgentKey
from penstock_dev.controlplane import certificates
from penstock_runtime.gateway import apiserver
from penstock_runtime.gateway.apiserver import APIServer, APIServerAway, Place, User

AUDIENCES = ("penstock",)
SUPPORT = AgentKey("shop", "support")
USER = User("ann", "u-1", ("staff", "system:authenticated"), (("scopes", ("a", "b")),))
ACCEPTED = {
    "authenticated": True,
    "audiences": ["penstock"],
    "user": {
        "username": "ann",
        "uid": "u-1",
        "groups": ["staff", "system:authenticated"],
        "extra": {"scopes": ["a", "b"]},
    },
}


@pytest.fixture
def place(tmp_path):
    authority = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
    (tmp_path / "ca.crt").write_bytes(authority.pair.certificate)
    (tmp_path / "token").write_text("own-token\n")
    return Place("https://api.example", tmp_path / "ca.crt", tmp_path / "token")


@pytest.fixture
async def answering(place):
    """Makes a client of an API server that answers each request as told, the last for ever."""
    clients = []

    def make(*answers):
        server, requests, left = APIServer(place), [], list(answers)

        async def answer(request):
            requests.append(request)
            given = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(given, Exception):
                raise given
            if isinstance(given, dict):
                return httpx.Response(201, json={"status": given})
            return given if isinstance(given, httpx.Response) else await given()

        server._http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=place.url)
        clients.append(server)
        return server, requests

    yield make
    for server in clients:
        await server.aclose()


async def test_a_token_is_reviewed_for_the_audiences_with_the_gateways_own_token(answering, place):
    server, requests = answering(ACCEPTED)
    assert await server.user_of("a.b.c", AUDIENCES) == USER
    place.token_file.write_text("rotated-token")
    await server.user_of("a.b.c", AUDIENCES)
    assert [r.headers["authorization"] for r in requests] == [
        "Bearer own-token",
        "Bearer rotated-token",
    ]
    assert requests[0].url.path == "/apis/authentication.k8s.io/v1/tokenreviews"
    assert json.loads(requests[0].content) == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "a.b.c", "audiences": ["penstock"]},
    }


async def test_access_is_reviewed_with_everything_that_is_known_of_the_user(answering):
    server, requests = answering({"allowed": True})
    assert await server.allows(USER, "create", SUPPORT)
    assert requests[0].url.path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert json.loads(requests[0].content)["spec"] == {
        "user": "ann",
        "uid": "u-1",
        "groups": ["staff", "system:authenticated"],
        "extra": {"scopes": ["a", "b"]},
        "resourceAttributes": {
            "group": "penstock.dev",
            "resource": "agents",
            "subresource": "tasks",
            "verb": "create",
            "namespace": "shop",
            "name": "support",
        },
    }


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"error": "invalid bearer token"},
        {**ACCEPTED, "authenticated": False},
        {**ACCEPTED, "audiences": []},
        {**ACCEPTED, "audiences": ["https://kubernetes.default.svc"]},
        {**ACCEPTED, "user": {"username": ""}},
        {"authenticated": True, "audiences": ["penstock"]},
    ],
)
async def test_a_token_that_is_not_accepted_for_an_audience_of_ours_is_nobodys(status, answering):
    server, _ = answering(status)
    assert await server.user_of("a.b.c", AUDIENCES) is None


@pytest.mark.parametrize("status", [{}, {"allowed": False}, {"evaluationError": "no such role"}])
async def test_access_that_is_not_allowed_is_refused(status, answering):
    server, _ = answering(status)
    assert not await server.allows(USER, "create", SUPPORT)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.ConnectError("refused"), "refused"),
        (httpx.ConnectTimeout(""), "ConnectTimeout"),
        (httpx.Response(401), "does not accept the gateway's own token"),
        (httpx.Response(403), "system:auth-delegator"),
        (httpx.Response(500), "it answered 500"),
        (httpx.Response(302, headers={"Location": "https://x"}), "it answered 302"),
        (httpx.Response(200, text="<html>"), "no review"),
        (httpx.Response(200, json={"status": {"authenticated": "perhaps"}}), "no review"),
        (httpx.Response(200, json={"kind": "Status"}), "no review"),
    ],
    ids=range(9),
)
async def test_whatever_goes_wrong_is_never_a_yes(answer, says, answering):
    server, _ = answering(answer)
    for review in (server.user_of("a.b.c", AUDIENCES), server.allows(USER, "create", SUPPORT)):
        with pytest.raises(APIServerAway, match=says) as away:
            await review
        assert away.value.retry_after_seconds == apiserver.RETRY_AFTER_SECONDS


@pytest.mark.parametrize(("told", "passed_on"), [("7", 7), ("0", 1), ("9999", 30), ("soon", 5)])
async def test_an_overloaded_api_server_says_when_to_come_back_within_bounds(
    told, passed_on, answering
):
    server, _ = answering(httpx.Response(429, headers={"Retry-After": told}))
    with pytest.raises(APIServerAway) as away:
        await server.user_of("a.b.c", AUDIENCES)
    assert away.value.retry_after_seconds == passed_on


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(answering):
    server, requests = answering(httpx.RemoteProtocolError("closed"), ACCEPTED)
    assert await server.user_of("a.b.c", AUDIENCES) == USER
    assert len(requests) == 2


async def test_an_answer_that_does_not_come_ends_at_the_deadline(answering, monkeypatch):
    monkeypatch.setattr(apiserver, "DEADLINE_SECONDS", 0.05)
    server, _ = answering(asyncio.Event().wait)
    with pytest.raises(APIServerAway, match=r"no answer within 0\.05 s"):
        await server.user_of("a.b.c", AUDIENCES)


async def test_an_outage_is_told_once_and_so_is_its_end(answering, place):
    server, _ = answering(ACCEPTED, *[httpx.Response(500)] * 3, ACCEPTED, ACCEPTED)
    with structlog.testing.capture_logs() as logged:
        for outcome in ("yes", "away", "away", "away", "yes", "yes"):
            if outcome == "yes":
                assert await server.user_of("secret-token", AUDIENCES)
            else:
                with pytest.raises(APIServerAway):
                    await server.user_of("secret-token", AUDIENCES)
        place.token_file.unlink()
        with pytest.raises(APIServerAway, match="own token cannot be read"):
            await server.user_of("secret-token", AUDIENCES)
    assert [line["event"] for line in logged] == [
        "the API server reviews nothing",
        "the API server reviews again",
        "the API server reviews nothing",
    ]
    assert "secret-token" not in str(logged)


def test_files_that_cannot_be_used_are_named_at_the_start(place, tmp_path):
    place.check()
    (tmp_path / "ca.crt").write_text("no certificate")
    with pytest.raises(InvalidResource, match=r"ca\.crt"):
        place.check()
    with pytest.raises(InvalidResource, match=r"nowhere.*No such file"):
        Place(place.url, place.ca_file, tmp_path / "nowhere").check()


@pytest.fixture
def serving(tmp_path):
    """An API server behind TLS that accepts every token; `renew` has another authority sign it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    def renew():
        authority = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
        pair = authority.server(["api"], ["127.0.0.1"])
        (tmp_path / "server.pem").write_bytes(pair.key + pair.certificate)
        context.load_cert_chain(tmp_path / "server.pem")
        return authority.pair.certificate

    class Reviewing(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"status": ACCEPTED}).encode()
            self.send_response(201)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reviewing)
    (tmp_path / "ca.crt").write_bytes(renew())
    (tmp_path / "token").write_text("own-token")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}"
    yield Place(url, tmp_path / "ca.crt", tmp_path / "token"), renew
    server.shutdown()
    server.server_close()


async def test_another_authority_is_believed_as_soon_as_its_file_is_there(serving):
    place, renew = serving
    asked = APIServer(place)
    assert await asked.user_of("a.b.c", AUDIENCES) == USER
    renewed = renew()
    with pytest.raises(APIServerAway, match="certificate"):
        await asked.user_of("a.b.c", AUDIENCES)
    place.ca_file.write_text("no certificate")
    with pytest.raises(APIServerAway, match="certificate"):
        await asked.user_of("a.b.c", AUDIENCES)
    place.ca_file.write_bytes(renewed)
    assert await asked.user_of("a.b.c", AUDIENCES) == USER
    await asked.aclose()


async def test_an_authority_that_was_replaced_is_believed_no_more(serving):
    place, _renew = serving
    asked = APIServer(place)
    assert await asked.user_of("a.b.c", AUDIENCES) == USER
    another = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
    place.ca_file.write_bytes(another.pair.certificate)
    with pytest.raises(APIServerAway, match="certificate"):
        await asked.user_of("a.b.c", AUDIENCES)
    await asked.aclose()


async def test_files_that_stay_are_read_once_and_one_that_is_away_changes_nothing(
    serving, monkeypatch
):
    place, _renew = serving
    made = []
    create = ssl.create_default_context
    monkeypatch.setattr(
        ssl, "create_default_context", lambda **more: made.append(1) or create(**more)
    )
    asked = APIServer(place)
    for _ in range(3):
        assert await asked.user_of("a.b.c", AUDIENCES) == USER
    place.ca_file.unlink()
    assert await asked.user_of("a.b.c", AUDIENCES) == USER
    assert len(made) == 1
    await asked.aclose()
