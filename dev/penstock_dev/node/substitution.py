"""From a container's declaration to a command and an environment: pure text work."""

from __future__ import annotations

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


def relocate(text: str, mounts: Iterable[Mount]) -> str:
    """Replace mount paths where they begin a path, the longest first."""
    by_path = {mount.mount_path.rstrip("/"): mount.real_path for mount in mounts}
    by_path.pop("", None)
    if not by_path:
        return text
    longest_first = sorted(by_path, key=len, reverse=True)
    alternatives = "|".join(re.escape(path) for path in longest_first)
    pattern = rf"(?<![\w./-])({alternatives})(?![\w.-])"
    return re.sub(pattern, lambda match: by_path[match.group(1)], text)


def environment(
    base: Mapping[str, str], declared: Iterable[tuple[str, str]], mounts: Iterable[Mount]
) -> dict[str, str]:
    """The variables of a container: `declared` in order, each may refer to earlier ones."""
    mounts = list(mounts)
    own: dict[str, str] = {}
    for name, text in declared:
        own[name] = expand(text, own)
    return {**base, **{name: relocate(text, mounts) for name, text in own.items()}}


def command_line(
    words: Iterable[str], variables: Mapping[str, str], mounts: Iterable[Mount], python: str
) -> list[str]:
    """Command and arguments with references and mount paths replaced; `python` runs `python`."""
    mounts = list(mounts)
    line = [relocate(expand(word, variables), mounts) for word in words]
    return [python, *line[1:]] if is_python(line) else line


def is_python(line: list[str]) -> bool:
    """Whether a command starts the Python interpreter."""
    return bool(line) and re.fullmatch(r"(.*/)?python(3(\.\d+)?)?", line[0]) is not None
