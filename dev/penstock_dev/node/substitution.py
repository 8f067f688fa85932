"""From a container's declaration to a command and an environment: pure text work."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_][\w.-]*)\))")


@dataclass(frozen=True)
class Mount:
    """A path as the container names it, and the directory or file that stands for it here."""

    mount_path: str
    real_path: str


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; unknown names stay, and `$$` is one dollar sign."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "$"
        return variables.get(match.group(1), match.group(0))

    return _REFERENCE.sub(value, text)


def relocate(text: str, mounts: Iterable[Mount], above: Mapping[str, str] | None = None) -> str:
    """Replace every path that is a mount or below one, and every path that has mounts below it.

    A path begins at the start of the text, after white space, a quote, a bracket or one of
    `=:,;|&@`, or after `file://`, but not with the host of a URL; it is whole path parts that are compared, so a neighbour whose
    name begins alike is left alone. `above` says which directory stands for a path that is none
    of the mounts but has some below it; what is beside them there is not touched.
    """
    by_path = {mount.mount_path.rstrip("/"): mount.real_path for mount in mounts}
    by_path.pop("", None)
    if not by_path:
        return text
    longest_first = sorted(by_path, key=len, reverse=True)
    known = "|".join(re.escape(path) for path in longest_first)
    path = rf"(?P<path>(?:(?:{known})(?=/|$|[{_BETWEEN}]))?/?[^{_BETWEEN}]*)"
    found = re.compile(rf"(?:(?<![^{_BETWEEN}])(?!(?<=:)//)|(?<=file://))(?=/){path}")

    def real(match: re.Match[str]) -> str:
        return _real(match["path"], by_path, longest_first, above or {})

    return found.sub(real, text)


# What stands between paths in a command line or a variable, inside a class of a pattern.
_BETWEEN = r"\s\"'`=:,;|&@<>()\[\]{}"


def _real(
    path: str, by_path: Mapping[str, str], longest_first: Iterable[str], above: Mapping[str, str]
) -> str:
    plain = "/" + posixpath.normpath(path).lstrip("/")
    end = "/" if path.endswith("/") else ""
    for mount_path in longest_first:
        if plain == mount_path or plain.startswith(f"{mount_path}/"):
            return by_path[mount_path] + plain.removeprefix(mount_path) + end
    return above[plain] + end if plain in above else path


def parents(mount_path: str) -> list[str]:
    """The paths above a mount, nearest first, without the root."""
    parts = mount_path.rstrip("/").split("/")[1:]
    return ["/" + "/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def environment(
    base: Mapping[str, str],
    declared: Iterable[tuple[str, str]],
    mounts: Iterable[Mount],
    above: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables of a container: `declared` in order, each may refer to earlier ones."""
    mounts = list(mounts)
    own: dict[str, str] = {}
    for name, text in declared:
        own[name] = expand(text, own)
    return {**base, **{name: relocate(text, mounts, above) for name, text in own.items()}}


def command_line(
    words: Iterable[str],
    variables: Mapping[str, str],
    mounts: Iterable[Mount],
    python: str,
    above: Mapping[str, str] | None = None,
) -> list[str]:
    """Command and arguments with references and mount paths replaced; `python` runs `python`."""
    mounts = list(mounts)
    line = [relocate(expand(word, variables), mounts, above) for word in words]
    return [python, *line[1:]] if is_python(line) else line


def is_python(line: list[str]) -> bool:
    """Whether a command starts the Python interpreter."""
    return bool(line) and re.fullmatch(r"(.*/)?python(3(\.\d+)?)?", line[0]) is not None
