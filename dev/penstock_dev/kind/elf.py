"""Whether a program runs without the libraries of the system it was built on."""

from __future__ import annotations

import struct
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_PROGRAM_HEADERS_AT, _COUNT_AT = 0x20, 0x38
_HEADER_BYTES = 56
_INTERPRETER = 3  # PT_INTERP of the ELF specification


def is_static(program: Path) -> bool:
    """Whether a 64-bit program names no loader, so that it starts in an image without a libc."""
    with program.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or not head.startswith(_MAGIC):
            return False
        (offset,) = struct.unpack_from("<Q", head, _PROGRAM_HEADERS_AT)
        (count,) = struct.unpack_from("<H", head, _COUNT_AT)
        file.seek(offset)
        headers = file.read(count * _HEADER_BYTES)
    kinds = [kind for (kind,) in struct.iter_unpack(f"<I{_HEADER_BYTES - 4}x", headers)]
    return _INTERPRETER not in kinds
