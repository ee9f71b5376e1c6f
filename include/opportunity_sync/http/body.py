"""The bytes of an answer, read piece by piece and never more of them than fit.

Three megabytes of gzip can hold several gigabytes, and an error answer is as good for that as a
page. So bytes are counted as they come and again as they unfold, before they are kept.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

LARGEST_ANSWER: Final = 256 << 20  # a page of 5,000 rows has 10 to 50 MB
LARGEST_ERROR_ANSWER: Final = 1 << 20
ACCEPTED_ENCODING: Final = "gzip"
_PIECE: Final = 1 << 18
_GZIP: Final = frozenset({"gzip", "x-gzip"})
_PLAIN: Final = frozenset({"", "identity"})


class BodyError(Exception):
    """The body is too large or isn't what its headers say; the text says which."""


class _Raw(Protocol):
    def read1(self, amt: int, decode_content: bool) -> bytes: ...  # noqa: FBT001 - urllib3's


def read_body(
    response: requests.Response, *, limit: int, is_late: Callable[[], bool] = bool
) -> bytes:
    """The whole body, unpacked.

    Raises:
        BodyError: it has more than `limit` bytes, packed or unpacked, or can't be unpacked.
        TimeoutError: `is_late` said so after one of its pieces.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _GZIP | _PLAIN:
        raise BodyError("it is packed in a way that was not asked for")
    pieces = _limit_size(_read_pieces(response, is_late), limit)
    return b"".join(_unpack(pieces, limit) if encoding in _GZIP else pieces)


def _read_pieces(response: requests.Response, is_late: Callable[[], bool]) -> Iterator[bytes]:
    raw = cast("_Raw", response.raw)
    while piece := raw.read1(_PIECE, decode_content=False):
        yield piece
        if is_late():
            raise TimeoutError


def _limit_size(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise BodyError(f"it has more than {limit >> 20} MB")
        yield piece


def _unpack(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The content of one gzip stream; a body may have several, one after the other."""
    stream, left, is_empty = _new_gzip_stream(), limit, True
    for piece in pieces:
        rest = piece
        while rest:
            if stream.eof:
                stream = _new_gzip_stream()
            content = _inflate_piece(stream, rest, left + 1)
            left -= len(content)
            if left < 0:
                raise BodyError(f"it unfolds to more than {limit >> 20} MB")
            is_empty = False
            rest = stream.unused_data
            yield content
    if not (is_empty or stream.eof):
        raise BodyError("it is packed and cut short")


def _inflate_piece(stream: zlib._Decompress, packed: bytes, longest: int) -> bytes:
    try:
        return stream.decompress(packed, longest)
    except zlib.error:
        raise BodyError("it can't be unpacked") from None


def _new_gzip_stream() -> zlib._Decompress:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)
