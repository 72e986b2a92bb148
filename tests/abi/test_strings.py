"""The three string encodings, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import texts
from whamm_cm.abi.faults import AbiError
from whamm_cm.abi.strings import Encoding, decode_string, encode_string, string_span, utf16_tag

ENCODINGS: tuple[Encoding, ...] = ("utf8", "utf16", "latin1+utf16")
TAG, TAG64 = 1 << 31, 1 << 63


@pytest.mark.parametrize(
    ("text", "encoding", "data", "word"),
    [
        ("", "utf8", b"", 0),
        ("aé😀", "utf8", b"a\xc3\xa9\xf0\x9f\x98\x80", 7),
        ("aé😀", "utf16", b"a\0\xe9\0\x3d\xd8\x00\xde", 4),
        ("", "latin1+utf16", b"", 0),
        ("aéÿ", "latin1+utf16", b"a\xe9\xff", 3),
        ("aĀ", "latin1+utf16", b"a\0\0\x01", TAG | 2),
        ("😀", "latin1+utf16", b"\x3d\xd8\x00\xde", TAG | 2),
    ],
)
def test_encoded_form(text: str, encoding: Encoding, data: bytes, word: int) -> None:
    align = 1 if encoding == "utf8" else 2
    assert encode_string(text, encoding) == (data, word, align)
    assert decode_string(b"\0\0" + data, 2, word, encoding) == text


def test_the_tag_is_the_top_bit_of_the_pointer_width() -> None:
    assert (utf16_tag(4), utf16_tag(8)) == (TAG, TAG64)
    assert encode_string("Ā", "latin1+utf16", 8).length_word == TAG64 | 1
    assert string_span(TAG64 | 3, "latin1+utf16", 8).byte_length == 6
    assert string_span(TAG | 3, "latin1+utf16", 8).byte_length == TAG | 3


@pytest.mark.parametrize(
    ("word", "encoding", "units", "length", "codec"),
    [
        (5, "utf8", 5, 5, "utf-8"),
        (TAG | 5, "utf8", TAG | 5, TAG | 5, "utf-8"),
        (5, "utf16", 5, 10, "utf-16-le"),
        (5, "latin1+utf16", 5, 5, "latin-1"),
        (TAG | 5, "latin1+utf16", 5, 10, "utf-16-le"),
    ],
)
def test_length_words(word: int, encoding: Encoding, units: int, length: int, codec: str) -> None:
    span = string_span(word, encoding)
    assert (span.units, span.byte_length, span.codec) == (units, length, codec)


@given(texts(), st.sampled_from(ENCODINGS), st.sampled_from((4, 8)), st.integers(0, 5))
def test_round_trip(text: str, encoding: Encoding, ptr: int, where: int) -> None:
    data, word, align = encode_string(text, encoding, ptr)
    address = where * align
    memory = memoryview(bytes(address) + data + b"\xff")
    assert decode_string(memory, address, word, encoding, ptr) == text


@pytest.mark.parametrize(
    ("memory", "address", "word", "encoding", "message"),
    [
        (b"ab\xc3", 0, 3, "utf8", "not valid utf-8"),
        (b"\xed\xa0\x80", 0, 3, "utf8", "not valid utf-8"),
        (b"\x00\xd8a\0", 0, 2, "utf16", "not valid utf-16-le"),
        (b"\x00\xd8", 0, TAG | 1, "latin1+utf16", "not valid utf-16-le"),
        (b"abcd", 1, 1, "utf16", "not aligned to 2"),
        (b"abcd", 1, 1, "latin1+utf16", "not aligned to 2"),
        (b"abcd", 1, TAG | 1, "latin1+utf16", "not aligned to 2"),
        (b"abcd", 2, 3, "utf8", r"0x2..0x5 is outside memory"),
        (b"abcd", 5, 0, "utf8", "outside memory"),
        (b"abcd", 0, 1 << 28, "utf8", "over the limit"),
        (b"abcd", 0, 1 << 27, "utf16", "over the limit"),
        (b"abcd", 0, 1, "ucs2", "unknown string encoding 'ucs2'"),
    ],
)
def test_invalid_strings(
    memory: bytes, address: int, word: int, encoding: Encoding, message: str
) -> None:
    with pytest.raises(AbiError, match=message):
        decode_string(memory, address, word, encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lone_surrogates_have_no_form(encoding: Encoding) -> None:
    with pytest.raises(AbiError, match="no .* form"):
        encode_string("a\ud800", encoding)


def test_all_latin1_characters_stay_one_byte() -> None:
    text = "".join(map(chr, range(256)))
    assert encode_string(text, "latin1+utf16").data == bytes(range(256))
