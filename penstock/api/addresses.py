"""Whether an address of a tool or a model can be called as it is written.

The schema's pattern lets through what a client then refuses, or sends elsewhere: this is looked at
when a revision is cut. What is behind an address is for the first worker to say.
"""

import ipaddress
import re
import unicodedata
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_HOST_CHARACTERS: Final = 253
MAX_LABEL_CHARACTERS: Final = 63
#: What is told of an address of which nobody can say where a password in it ends.
UNREADABLE: Final = "(an address that cannot be read)"

#: Categories of Unicode: controls, formats, surrogates, unassigned, and all that separates.
_UNSEEN: Final = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp", "Zs")
_LABEL: Final = re.compile(r"(?!-)[-_a-zA-Z0-9]+(?<!-)")
_NUMBERS: Final = re.compile(r"[0-9.]+")
_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})")


def complaint(address: str, *, query_allowed: bool = True) -> str | None:
    """What is wrong with an http or https address, as the end of a sentence; None when nothing is.

    The sentence quotes nothing of it: passwords stand in addresses.

    Args:
        address: as people wrote it.
        query_allowed: whether ``?`` may follow; an address that is continued may have none.
    """
    if unseen := next((c for c in address if unicodedata.category(c) in _UNSEEN), None):
        return f"has the character U+{ord(unseen):04X}, which no address may have; take it out"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "has a port or brackets that cannot be read; write http://host:port/path"
    if parts.scheme not in ("http", "https"):
        return "is no address of http or https; begin it with http:// or https://"
    if "@" in parts.netloc:
        return "holds a user or a password; keep them in a Secret and take them out"
    if port == 0:
        return "names port 0; write the port that is listened on"
    if "?" in address and not query_allowed:
        return "has a part behind ?, which would stand before the path that is called; take it out"
    return _wrong_host(parts) or _wrong_rest(address, parts)


def shown(address: str) -> str:
    """An address as it is told or kept outside its declaration: without user, password, query and fragment.

    An address that ``complaint`` lets through stays what it is; that of an installation is not looked at there.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return UNREADABLE
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


def _wrong_host(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        return None if _is_ip(host, 6) else "has no IPv6 address in its brackets"
    if not host.isascii():
        return "has a host that is not in ASCII; write the form that begins with xn--"
    if _NUMBERS.fullmatch(host):
        return None if _is_ip(host, 4) else "has a host of numbers that is no IPv4 address"
    labels = host.removesuffix(".").split(".")
    fits = all(_LABEL.fullmatch(name) and len(name) <= MAX_LABEL_CHARACTERS for name in labels)
    if not fits or len(host) > MAX_HOST_CHARACTERS:
        return "has no host that can be looked up; write letters, digits, - and ."
    return None


def _is_ip(host: str, version: int) -> bool:
    try:
        return "%" not in host and ipaddress.ip_address(host).version == version
    except ValueError:
        return False


def _wrong_rest(address: str, parts: SplitResult) -> str | None:
    if "#" in address:
        return "has a part behind #, which is never sent; take it out"
    if _ESCAPE.search(parts.path + parts.query):
        return "has a % that begins no escape; write %25"
    return None
