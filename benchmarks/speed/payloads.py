"""Raw messages in a file, each behind its length: what the load generator sends."""

import struct
from collections.abc import Iterable
from pathlib import Path

_LENGTH = struct.Struct(">I")


def write_payloads(file: Path, messages: Iterable[bytes]) -> None:
    """Writes serialised messages; the generator sends them in turn, from the first again."""
    file.write_bytes(b"".join(_LENGTH.pack(len(each)) + each for each in messages))


def read_payloads(file: Path) -> list[bytes]:
    """Reads what `write_payloads` wrote.

    Raises:
        ValueError: The file is cut short, or has no message.
    """
    data, at, messages = file.read_bytes(), 0, []
    while at < len(data):
        begin = at + _LENGTH.size
        at = begin + _length(data, at, file)
        messages.append(data[begin:at])
    if not messages or at != len(data):
        raise ValueError(f"{file} has no whole message at its end")
    return messages


def _length(data: bytes, at: int, file: Path) -> int:
    if at + _LENGTH.size > len(data):
        raise ValueError(f"{file} has no whole message at its end")
    return int(_LENGTH.unpack_from(data, at)[0])
