"""Which tests one process has as a whole, where several share the work, and in which order."""

from __future__ import annotations

import functools
import zlib
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]
#: Folders whose tests share an environment of their own: one process has them all, and starts it once.
FOLDERS = ("tests/integration/election/", "tests/integration/tenancy/")
#: Files whose tests start one of their own.
ALONE = ("tests/integration/chart/", "tests/integration/test_demo.py")
#: Tests of one environment for all that ask: two processes have them, and each of these starts one.
SHARED = ("tests/integration/cluster 1", "tests/integration/cluster 2")


def whole(nodeid):
    """What is not divided: a test's file, its folder, or half of those that ask for an environment."""
    file = nodeid.partition("::")[0]
    folder = next((folder for folder in FOLDERS if file.startswith(folder)), None)
    if folder or not asks_for_environment(file):
        return folder or file
    return SHARED[digest(file) % len(SHARED)]


def place(nodeid):
    """Where a test comes: those that ask for an environment last.

    An environment that waits for the next test of its own takes a fifth of a processor meanwhile. The
    others come by a digest of their file's name, so that those that wait come between those that compute.
    """
    of = whole(nodeid)
    if of in FOLDERS:
        return 1, FOLDERS.index(of)
    return (2, SHARED.index(of)) if of in SHARED else (0, digest(of))


@functools.cache
def asks_for_environment(file):
    """Whether a file's tests are marked so, or are those of the whole product."""
    if file.startswith("tests/integration/acceptance/"):
        return True
    path = ROOT / file
    return not file.startswith(ALONE) and path.is_file() and "mark.cluster" in path.read_text()


def digest(text):
    return zlib.crc32(text.encode())


class Scheduling(LoadFileScheduling):
    """Gives each process files, folders or halves as a whole."""

    def _split_scope(self, nodeid):
        return whole(nodeid)
