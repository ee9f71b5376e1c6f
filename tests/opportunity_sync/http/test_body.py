"""A body is whole, of a bounded size and what its headers say, or it is none."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
import requests
from urllib3 import HTTPResponse

from opportunity_sync.http.body import BodyError, read_body

MEGABYTE = 1 << 20


def a_response(body: bytes, encoding: str | None = None) -> requests.Response:
    """A response whose body has come so far as these bytes."""
    response = requests.Response()
    response.raw = HTTPResponse(io.BytesIO(body), preload_content=False)
    if encoding is not None:
        response.headers["Content-Encoding"] = encoding
    return response


def read(body: bytes, encoding: str | None = None, **given: Any) -> bytes:
    """What is read of such a body, of a megabyte at most."""
    return read_body(a_response(body, encoding), **({"limit": MEGABYTE} | given))


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity "])
@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 200_000])
def test_a_plain_body_is_read_as_it_is(body: bytes, encoding: str | None) -> None:
    """Also one that is longer than a piece."""
    assert read(body, encoding) == body


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_packed_body_is_unpacked(encoding: str) -> None:
    """Of one stream, of several one after the other, or of nothing at all."""
    first, second = b"a" * 100_000, b"b"

    assert read(gzip.compress(first), encoding) == first
    assert read(gzip.compress(first) + gzip.compress(second), encoding) == first + second
    assert read(gzip.compress(b""), encoding) == b""
    assert read(b"", encoding) == b""


def test_a_body_has_its_limit_to_the_byte() -> None:
    """Packed and unpacked alike."""
    fits, too_long = b"x" * MEGABYTE, b"x" * (MEGABYTE + 1)

    assert read(fits) == fits
    assert read(gzip.compress(fits), "gzip") == fits
    with pytest.raises(BodyError, match="has more than 1 MB"):
        read(too_long)
    with pytest.raises(BodyError, match="unfolds to more than 1 MB"):
        read(gzip.compress(too_long), "gzip")


def test_several_streams_share_one_limit() -> None:
    """Each of them is small, all of them together are not."""
    half = gzip.compress(b"x" * (MEGABYTE // 2 + 1))

    with pytest.raises(BodyError, match="unfolds to more than 1 MB"):
        read(half + half, "gzip")


@pytest.mark.parametrize("missing", [1, 4, 12])
def test_a_packed_body_that_is_cut_short_is_refused(missing: int) -> None:
    """It can unfold to rows that look whole."""
    with pytest.raises(BodyError, match="is packed and cut short"):
        read(gzip.compress(b'{"value":[]}')[:-missing], "gzip")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", id="plain bytes"),
        pytest.param(gzip.compress(b"{}")[:-8] + bytes(8), id="another's checksum"),
    ],
)
def test_a_body_that_is_not_packed_as_it_says_is_refused(body: bytes) -> None:
    """Plain bytes, or a checksum that is another's."""
    with pytest.raises(BodyError, match="can't be unpacked"):
        read(body, "gzip")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_a_body_packed_in_another_way_is_refused(encoding: str) -> None:
    """Nobody asked for it."""
    with pytest.raises(BodyError, match="was not asked for"):
        read(b"{}", encoding)


def test_a_body_that_is_late_ends_after_its_next_piece() -> None:
    """A server that sends now and then is never silent."""
    with pytest.raises(TimeoutError):
        read(b"{}", is_late=lambda: True)
