"""HTTP/1.1 as bytes: requests as they are written, answers as they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_runtime.agent.transport import message

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-Kept: As-It-Is \r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;some=thing\r\nhel\r\n2\r\nlo\r\n0\r\nx-trailer: left out\r\n\r\n"
)
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello"


def read(*pieces, method="POST", ended=False):
    answer = message.Answer(method)
    for piece in pieces:
        answer.feed(piece)
    if ended:
        answer.end()
    return answer


def seen(answer):
    return (answer.status, answer.reason, answer.headers, b"".join(answer.body))


@given(st.sampled_from([PLAIN, CHUNKED, UNTIL_CLOSED]), st.data())
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(whole, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    pieced = read(*pieces, ended=whole is UNTIL_CLOSED)
    at_once = read(whole, ended=whole is UNTIL_CLOSED)
    assert seen(pieced) == seen(at_once)
    assert seen(pieced)[3] == b"hello"
    assert (pieced.over, pieced.clean, pieced.wrong) == (True, whole is not UNTIL_CLOSED, False)


def test_headers_are_those_of_the_answer_as_they_came():
    assert read(PLAIN).headers == [(b"content-length", b"5"), (b"X-Kept", b"As-It-Is")]
    assert read(CHUNKED).headers == [(b"Transfer-Encoding", b"chunked")]


@pytest.mark.parametrize("after", [b"HTTP/1.1 200 OK\r\n", b"H", b"\x00\x01", b"nothing known"])
def test_what_follows_an_answer_is_no_part_of_it_and_ends_its_connection(after):
    for answer in (read(PLAIN + after), read(CHUNKED + after), read(PLAIN, after)):
        assert (answer.status, b"".join(answer.body), answer.over) == (200, b"hello", True)
        assert not answer.clean


@pytest.mark.parametrize("said", [b"connection: close\r\n", b"Connection: Close\r\n"])
def test_a_connection_that_is_closed_after_its_answer_carries_no_other_one(said):
    answer = read(PLAIN.replace(b"content-length", said + b"content-length"))
    assert (answer.over, answer.clean) == (True, False)


def test_of_http_1_0_a_connection_carries_another_one_only_where_that_is_said():
    old = PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert not read(old).clean
    assert read(old.replace(b"X-Kept: As-It-Is ", b"connection: keep-alive")).clean


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_answers_have_no_body_and_no_length(status):
    answer = read(b"HTTP/1.1 " + status + b"\r\n\r\n")
    assert (answer.over, answer.clean, list(answer.body)) == (True, True, [])


def test_the_answer_to_head_ends_with_its_head():
    answer = read(PLAIN.removesuffix(b"hello"), method="HEAD")
    assert (answer.status, answer.over, answer.clean) == (200, True, False)


@pytest.mark.parametrize("whole", [PLAIN, CHUNKED])
def test_an_answer_whose_connection_ends_before_it_is_broken(whole):
    for length in range(len(whole)):
        with pytest.raises(message.Broken):
            read(whole[:length], ended=True)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * message.MAX_INTERIM_ANSWERS,
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
)
def test_what_is_no_answer_is_wrong(said):
    answer = read(said)
    assert answer.wrong
    assert not answer.over


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"HTTP/1.1 200 ", b"O" * 999),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 99),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 999),
        (b"HTTP/1.1 200 OK\r\n" + b"y" * 9, b"y" * 999),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 99),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"e" * 999),
    ],
    ids=["reason", "headers", "value", "name", "trailers", "extension"],
)
def test_a_head_without_end_is_given_up(begins, goes_on):
    answer = read(begins)
    read_bytes = 0
    while not answer.wrong:
        answer.feed(goes_on)
        read_bytes += len(goes_on)
        assert read_bytes <= 2 * message.MAX_HEAD_BYTES
    assert not answer.over
    assert sum(len(name) + len(value) for name, value in answer.headers) <= message.MAX_HEAD_BYTES


def test_a_long_body_in_small_chunks_is_no_head_without_end():
    answer = read(CHUNKED.partition(b"3;")[0])
    for _ in range(message.MAX_HEAD_BYTES // 4):
        answer.feed(b"1\r\nx\r\n")
    answer.feed(b"0\r\n\r\n")
    assert (answer.over, answer.clean) == (True, True)
    assert len(b"".join(answer.body)) == message.MAX_HEAD_BYTES // 4


def test_a_request_is_written_as_it_was_asked_for():
    headers = [(b"Host", b"a.test"), (b"content-length", b"2")]
    written = message.request("POST", b"/a%2Cb?x=%2C", headers, b"{}")
    assert written == b"POST /a%2Cb?x=%2C HTTP/1.1\r\nHost: a.test\r\ncontent-length: 2\r\n\r\n{}"
    assert message.request("GET", b"/", [(b"Host", b"a")], b"").endswith(b"Host: a\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "target", "header", "body"),
    [
        ("GET", b"/ HTTP/1.1\r\nx: y", (b"a", b"b"), b""),
        ("GET", b"/a b", (b"a", b"b"), b""),
        ("GE T", b"/", (b"a", b"b"), b""),
        ("GET", b"/", (b"a b", b"c"), b""),
        ("GET", b"/", (b"a:", b"c"), b""),
        ("GET", b"/", (b"", b"c"), b""),
        ("GET", b"/", (b"a", b"b\r\nc: d"), b""),
        ("GET", b"/", (b"a", b"b\nc"), b""),
        ("GET", b"/", (b"a", b"b\x00"), b""),
        ("GET", b"/", (b"a", b" b"), b""),
        ("POST", b"/", (b"content-length", b"3"), b"ab"),
        ("POST", b"/", (b"a", b"b"), b"no length was told"),
        ("POST", b"/", (b"transfer-encoding", b"chunked"), b""),
    ],
)
def test_a_request_that_would_be_read_as_something_else_is_refused(method, target, header, body):
    with pytest.raises(message.Illegal):
        message.request(method, target, [header], body)
