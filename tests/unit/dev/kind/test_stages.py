"""What is printed about the stages, and what about a failure."""

from __future__ import annotations

import pytest

from penstock_dev.controlplane import build
from penstock_dev.kind import __main__ as command_line
from penstock_dev.kind import commands, stages


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_every_stage_tells_how_long_it_took():
    clock, lines = Clock(), list[str]()
    progress = stages.Stages(say=lines.append, clock=clock)
    async with progress.stage("node image from cache"):
        clock.seconds = 12.3
        progress.report("halfway")
    async with progress.stage("cluster"):
        clock.seconds = 20.0
    assert lines[0] == "kind   12.3 s  halfway"
    assert progress.summary() == [
        "   12.3 s  node image from cache",
        "    7.7 s  cluster",
        "   20.0 s  in all",
    ]


async def test_a_stage_that_fails_is_not_told_as_done():
    lines = list[str]()
    progress = stages.Stages(say=lines.append)
    with pytest.raises(commands.CommandFailed):
        async with progress.stage("cluster"):
            raise commands.CommandFailed("no")
    assert lines == []
    assert progress.ended == []


def test_a_failure_is_told_in_words_and_by_the_exit_code(capsys):
    async def verb(_: stages.Stages) -> None:
        parts = [commands.CommandFailed("mmdebstrap: exit 1"), build.BuildFailed("go: no")]
        raise ExceptionGroup("parts", [ExceptionGroup("inner", parts)])

    assert command_line.run(verb) == 1
    assert capsys.readouterr().err == "kind failed: mmdebstrap: exit 1\nkind failed: go: no\n"


def test_what_nobody_foresaw_keeps_its_traceback():
    async def verb(_: stages.Stages) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command_line.run(verb)


@pytest.mark.parametrize(
    ("words", "network"),
    [
        ("dial tcp 10.0.0.1:443: i/o timeout", True),
        ("reading https://proxy.example/x: 403 Forbidden", True),
        ("server response: 502 Bad Gateway", True),
        ("main.go:7: undefined: x", False),
        ("missing go.sum entry for module providing package x", False),
    ],
)
def test_only_a_failed_download_is_tried_again(words, network):
    assert build.is_network_failure(words) is network
