"""Which bytes of a container's log are shown."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest
from cryptography import x509

from penstock_dev.controlplane import cluster
from penstock_dev.node import logs

NOON = datetime.datetime(2026, 11, 28, 12, 0, tzinfo=datetime.UTC)
LONG = "x" * (3 * logs.CHUNK_BYTES)


def at(seconds: float) -> datetime.datetime:
    return NOON + datetime.timedelta(seconds=seconds)


def written(tmp_path: Path, *runs: str) -> logs.LogFile:
    """The log of a container that said a text in each of its runs, one a minute, and has ended."""
    log = logs.LogFile(tmp_path / "main.log")
    for number, text in enumerate(runs):
        log.begin()
        with log.path.open("a") as file:
            file.write(text)
        log.look(at(60 * number))
    log.ended = True
    return log


async def shown(log: logs.LogFile, query: str = "", now: float = 0) -> str:
    parts = [part async for part in logs.read(log, logs.wanted(query, at(now)))]
    return b"".join(parts).decode()


CASES = {
    "all of the last run": ("", "3\n4\n5"),
    "the run before": ("previous=true", "1\n2\n"),
    "the last lines": ("tailLines=2", "4\n5"),
    "no line": ("tailLines=0", ""),
    "more lines than there are": ("tailLines=9", "3\n4\n5"),
    "the last lines of the run before": ("previous=true&tailLines=1", "2\n"),
    "few bytes": ("limitBytes=3", "3\n4"),
    "no byte": ("limitBytes=0", ""),
    "an end that is there already": ("follow=true", "3\n4\n5"),
    "the last minute": ("sinceSeconds=30", "3\n4\n5"),
    "since a time after all": ("sinceTime=2026-11-28T12:01:01Z", ""),
}


@pytest.mark.parametrize(("query", "text"), CASES.values(), ids=CASES)
async def test_what_is_asked_for_is_shown_and_no_more(tmp_path, query, text):
    log = written(tmp_path, "1\n2\n", "3\n4\n5")
    assert await shown(log, query, now=60) == text


@pytest.mark.parametrize("text", [LONG, f"{LONG}\n{LONG}\nend\n", "\n" * 10])
@pytest.mark.parametrize("query", ["", "follow=true", "tailLines=100000"])
async def test_lines_of_any_length_are_shown_whole(tmp_path, text, query):
    assert await shown(written(tmp_path, text), query) == text


async def test_a_line_is_stamped_with_the_time_when_it_was_seen(tmp_path):
    log = written(tmp_path, "one\ntwo\n")
    with log.path.open("a") as file:
        file.write("three\n")
    log.look(at(5))
    assert await shown(log, "timestamps=true") == (
        "2026-11-28T12:00:00Z one\n2026-11-28T12:00:00Z two\n2026-11-28T12:00:05Z three\n"
    )


async def test_who_follows_sees_what_comes_until_the_container_ends(tmp_path):
    log = written(tmp_path, "one\n")
    log.ended = False
    following = asyncio.create_task(shown(log, "follow=true"))
    await asyncio.sleep(0)
    with log.path.open("a") as file:
        file.write("two\nthr")
    await asyncio.sleep(0)
    with log.path.open("a") as file:
        file.write("ee")
    assert not following.done()
    log.ended = True
    assert await asyncio.wait_for(following, 10) == "one\ntwo\nthree"


@pytest.mark.parametrize("query", ["tailLines=-1", "tailLines=x", "sinceTime=noon"])
async def test_what_cannot_be_meant_is_refused(tmp_path, query):
    with pytest.raises(logs.NoLog):
        await shown(written(tmp_path, "one\n"), query)


async def test_a_container_that_was_never_started_again_has_no_earlier_log(tmp_path):
    with pytest.raises(logs.NoLog, match="previous terminated container"):
        await shown(written(tmp_path, "one\n"), "previous=true")


def test_an_environment_of_an_earlier_version_gets_what_asks_for_logs(tmp_path):
    plane = cluster.ControlPlane(tmp_path, {}, 1, 2, 3)
    cluster.prepare(plane, NOON)
    authority = (plane.pki / "ca.crt").read_bytes()
    for name in ("crt", "key"):
        (plane.pki / f"apiserver-kubelet-client.{name}").unlink()
    cluster.prepare(plane, NOON)
    assert (plane.pki / "ca.crt").read_bytes() == authority
    made = x509.load_pem_x509_certificate((plane.pki / "apiserver-kubelet-client.crt").read_bytes())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
