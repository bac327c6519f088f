"""Bodies of messages: what goes in comes out, in a form that SQS and SNS take."""

from __future__ import annotations

import base64
import re
import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from aws.queues import NOISE, MemoryOverflow
from ministack import MiniStack
from playerstate.backends.aws.bodies import BODY_BYTES_MAX, ENCODING, MESSAGE_BYTES_MAX, Encoding, Packed, pack, unpack
from playerstate.backends.aws.overflow import S3Overflow
from playerstate.errors import InvalidUpdate, Unavailable

ALLOWED = re.compile("[\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
"""As the reference of SQS says: at least one of these characters."""


def encoding_of(packed: Packed) -> str:
    said = packed.attributes.get(ENCODING)
    return said["StringValue"] if said else ""


@given(st.one_of(st.binary(), st.text().map(str.encode), st.sampled_from([b"", b"\xef\xbf\xbe", b"\x00", b" "])))
def test_what_goes_in_comes_out(body: bytes) -> None:
    """Whatever a body is, it is sent as characters that SQS takes, and comes back."""
    (packed,) = pack([body], {}, None)
    assert ALLOWED.fullmatch(packed.text)
    assert unpack(packed.text, encoding_of(packed), None) == body


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b'[{"player_id":"ada"}]\t\r\n', Encoding.TEXT),
        ("hôtel 🗡".encode(), Encoding.TEXT),
        (b"nul \x00", Encoding.BASE64),
        ("not a character \uffff".encode(), Encoding.BASE64),
        (b"\xff\xfe", Encoding.BASE64),
        (b"", Encoding.DEFLATE),
        (b"a" * MESSAGE_BYTES_MAX, Encoding.TEXT),
        (b"a" * (MESSAGE_BYTES_MAX + 1), Encoding.DEFLATE),
        (b"\x00" * MESSAGE_BYTES_MAX, Encoding.DEFLATE),
        (NOISE, Encoding.ELSEWHERE),
    ],
)
def test_forms(body: bytes, encoding: Encoding) -> None:
    """Text stays readable wherever it may; what is too large is compressed, and what is still so lies elsewhere."""
    overflow = MemoryOverflow()
    (packed,) = pack([body], {}, overflow)
    assert encoding_of(packed) == encoding
    assert packed.size_bytes <= MESSAGE_BYTES_MAX
    assert unpack(packed.text, encoding_of(packed), overflow) == body


def test_attributes_count() -> None:
    """Attributes go with every body, and take from what is left for it: names, types and values."""
    attributes = {"edges": "true"}
    room = MESSAGE_BYTES_MAX - len("edges" + "String" + "true")
    fits, does_not = pack([b"a" * room, b"a" * (room + 1)], attributes, None)
    assert (fits.size_bytes, encoding_of(fits)) == (MESSAGE_BYTES_MAX, Encoding.TEXT)
    assert encoding_of(does_not) == Encoding.DEFLATE
    for packed in (fits, does_not):
        assert packed.attributes["edges"] == {"DataType": "String", "StringValue": "true"}


@pytest.mark.parametrize("body", [NOISE, b"\x00" * (BODY_BYTES_MAX + 1)], ids=["noise", "without end"])
def test_too_large(body: bytes) -> None:
    """Where there is no elsewhere, and beyond all bounds, the error says what and where."""
    with pytest.raises(InvalidUpdate, match=f"{len(body)} bytes") as caught:
        pack([b"small", body], {}, None)
    assert (caught.value.code, caught.value.where) == ("too_large", "$[1]")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("not base64 !", "base64"),
        ("bm90IHpsaWI=", "deflate"),
        (base64.b64encode(zlib.compress(b"cut off")[:-3]).decode(), "deflate"),
        (base64.b64encode(zlib.compress(bytes(BODY_BYTES_MAX + 1))).decode(), "deflate"),
        ("nowhere", "elsewhere"),
        ("as it is", "rot13"),
    ],
)
def test_what_nobody_packed(text: str, encoding: str) -> None:
    """It comes as it is, so that its consumer can put it aside; it stops nobody, and fills no memory."""
    assert unpack(text, encoding, MemoryOverflow()) == text.encode()
    assert unpack(text, encoding, None) == text.encode()


def test_objects(ministack: MiniStack) -> None:
    """The same body is the same object; what is not there is none, and no other object of the bucket can be had."""
    clients, bucket = ministack.clients(), ministack.name("overflow")
    clients.write("s3", "create_bucket", Bucket=bucket)
    clients.write("s3", "put_object", Bucket=bucket, Key="secret", Body=b"s")
    overflow = S3Overflow(clients, bucket)
    name = overflow.put(NOISE)
    assert overflow.put(NOISE) == name != overflow.put(b"other")
    assert overflow.get(name) == NOISE
    assert overflow.get(f"{name}x") is None
    assert overflow.get("secret") is None


def test_a_bucket_that_cannot_be_reached(ministack: MiniStack) -> None:
    """Is no missing object."""
    overflow = S3Overflow(ministack.clients(), ministack.name("nobody-made-it"))
    with pytest.raises(Unavailable):
        overflow.get("messages/a")
    with pytest.raises(Unavailable):
        overflow.put(b"a")
