"""Which tests one process has as a whole, where several share the work, and in which order."""

from __future__ import annotations

import zlib

from xdist.scheduler import LoadFileScheduling

#: Folders whose tests share an environment of their own: one process has them all, and starts it once.
FOLDERS = ("tests/integration/election/", "tests/integration/tenancy/")


def whole(nodeid):
    """What is not divided: a test's file, or its folder."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in FOLDERS if file.startswith(folder)), file)


def place(nodeid):
    """Folders come first, because they take longest; then files by a digest of their name.

    By name, or by how many tests they have, files that wait for a cluster come one after the other,
    and the processors wait with them.
    """
    of = whole(nodeid)
    return of not in FOLDERS, zlib.crc32(of.encode())


class Scheduling(LoadFileScheduling):
    """Gives each process files or folders as a whole."""

    def _split_scope(self, nodeid):
        return whole(nodeid)
