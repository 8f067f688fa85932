"""Who is at the other end of a connection on this machine, to be killed by what it asked for."""

import contextlib
import os
import pathlib

PROC = pathlib.Path("/proc")


def sockets():
    """The inode of each TCP socket of this machine, by its local port."""
    lines = (PROC / "net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(each[1].rpartition(":")[2], 16): each[9] for each in fields}


def holds(process, inode):
    with contextlib.suppress(OSError):
        for number in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(number.readlink()) == f"socket:[{inode}]":
                    return True
    return False


def process_at(port):
    """The id of the process whose end of a connection has this port; 0 when it is gone."""
    inode = sockets().get(port, "0")
    numbers = [each for each in PROC.iterdir() if each.name.isdigit()]
    others = (each for each in numbers if int(each.name) != os.getpid())
    return next((int(each.name) for each in others if inode != "0" and holds(each, inode)), 0)


def parent_of(pid):
    """The id of a process's parent, 0 when the process is gone or only waits to be buried."""
    with contextlib.suppress(OSError):
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return 0 if after_name[0] == "Z" else int(after_name[1])
    return 0


def children_of(pid):
    """The ids of the living children of a process."""
    found = [int(each.name) for each in PROC.iterdir() if each.name.isdigit()]
    return [each for each in found if parent_of(each) == pid]
