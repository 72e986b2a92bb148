"""Secrets as values: the sink in the guest and the decoder of this side mask the same bytes."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agent import encode
from tests.agent.agree import all_say, plain
from tests.agent.harness import StderrSink
from tests.agent.sample import site, table
from whamm_cm.agent import layout
from whamm_cm.agent.sites import SiteSpec
from whamm_cm.agent.table import SiteTable
from whamm_cm.trace.decode import Receiver
from whamm_cm.trace.secrets import KEEP, SLOTS, Masker, Secrets, is_harmless, matches
from whamm_cm.wit.types import ListT, OptionT, Prim, RecordT, TupleT

STRING, BYTES = Prim("string"), ListT(Prim("u8"))
PAIRS = ListT(TupleT((STRING, BYTES)))
NUMBERS = ListT(Prim("u32"))
DEEP = RecordT((("some", OptionT(STRING)), ("n", Prim("u64"))))
PARAMS = (("text", STRING), ("pairs", PAIRS), ("deep", DEEP), ("numbers", NUMBERS))
TABLE = table(site(PARAMS, encoding="utf8"), site((("text", STRING),), encoding="utf16"))

#: A text, or ``("secret", bytes)``: a value that is sent as a secret.
Text = bytes | tuple[str, bytes]


def span(text: Text) -> tuple[bytes, bytes]:
    """Image and tail."""
    if isinstance(text, tuple):
        sent = text[1][: layout.SECRET_SENT]
        size = len(text[1])
        return struct.pack("<II", 64, size), struct.pack("<II", layout.SECRET, len(sent)) + sent
    return struct.pack("<II", 64, len(text)), struct.pack("<I", len(text)) + text


def call(
    text: Text = b"", pairs: list[tuple[bytes, Text]] | None = None, deep: Text | None = None,
    numbers: bytes = b"", number: int = 0,
) -> bytes:  # fmt: skip
    image, tail = span(text)
    given = pairs or []
    image += struct.pack("<II", 8, len(given))
    tail += struct.pack("<I", len(given))
    elements = [(span(name), span(value)) for name, value in given]
    tail += b"".join(name[0] + value[0] for name, value in elements)
    tail += b"".join(name[1] + value[1] for name, value in elements)
    inner = span(deep) if deep is not None else (bytes(8), b"")
    image += struct.pack("<I", deep is not None) + inner[0]
    image += bytes(-(len(image) - 16) % 8) + struct.pack("<Q", number)
    tail += inner[1]
    image += struct.pack("<II", 8, len(numbers) // 4)
    tail += struct.pack("<I", len(numbers) // 4) + numbers
    return encode.record(0, 0, image + tail, call=1)


def said(*blocks: bytes) -> list[Any]:
    return [r["args"] for r in plain(all_say(TABLE, *blocks)) if r["phase"] == "call"]


def texts(*blocks: bytes) -> list[str]:
    return [args["text"] for args in said(*blocks)]


def secret(value: bytes) -> bytes:
    return encode.block(call(("secret", value)))


def test_a_secret_is_known_again_everywhere() -> None:
    token = b"Bearer s3cr3t-t0ken"
    later = call(
        b"GET s3cr3t-t0ken!",
        [(b"x-copy", token), (b"accept", b"*/*")],
        deep=b"a Bearer s3cr3t-t0ken",
    )
    _, args = said(secret(token), encode.block(later, instance=1))
    assert args["text"] == "GET ************!"
    copy = base64.b64decode(args["pairs"][0][1]["~b64"])
    assert copy == b"*" * len(token)
    assert args["deep"]["some"] == "a " + "*" * len(token)
    assert args["pairs"][1][1] == {"~b64": base64.b64encode(b"*/*").decode()}


def test_what_came_before_in_the_same_block_is_masked_too() -> None:
    block = encode.block(call(b"hunter22hunter22"), call(("secret", b"hunter22hunter22")))
    first, second = said(block)
    assert first["text"] == "*" * 16
    assert second["text"] == {"~redacted": 16}


@pytest.mark.parametrize(
    ("value", "again", "shown"),
    [
        (b"Basic dXNlcjpwYSQkd29yZA==", b"user:pa$$word", "*" * 13),
        (b"Basic dXNlcjpwYSQkd29yZA==", b"x pa$$word x", "x ******** x"),
        (b"Basic dXNlcjpwYSQkd29yZA==", b"dXNlcjpwYSQkd29yZA==", "*" * 20),
        (b"sid=abcdef123; theme=darkblue", b"abcdef123 darkblue", "********* ********"),
        (b"sid=abcdef123; Path=/private-area; HttpOnly", b"/private-area", "/private-area"),
        (b'token="quoted-value"', b"quoted-value", "*" * 12),
        (b"postgres://app:hunter2hunter2@db.internal/x", b"hunter2hunter2", "*" * 14),
        (b"postgres://app:hunter2hunter2@db.internal/x", b"db.internal", "db.internal"),
        (b"https://a.example/?api_key=0123456789abcdef", b"0123456789abcdef", "*" * 16),
        (b"short", b"short", "short"),
        (b"/usr/local/bin:/bin", b"/usr/local/bin:/bin", "/usr/local/bin:/bin"),
        (b"api.example.com:443", b"api.example.com:443", "api.example.com:443"),
        (b"10.0.0.1:8080", b"10.0.0.1:8080", "10.0.0.1:8080"),
        (b"en_US.UTF-8", b"en_US.UTF-8", "en_US.UTF-8"),
        (b"/Qx7kd8PzASDkLmN3", b"/Qx7kd8PzASDkLmN3", "*" * 17),
        (b"line\nbreak\n", b"line\nbreak\n", "line\nbreak\n"),
        (b"k" * 300, b"k" * 300 + b" kept", "*" * 300 + " kept"),
        (b"0123456789abcdefghij", b"0123456789abcdeX Y", "**************** Y"),
        (b"0123456789ab/+=xyz", b"a=0123456789ab%2F%2B%3Dxyz&b=1", "a=" + "*" * 24 + "&b=1"),
        (b'0123456789ab"\\x', b'{"k":"0123456789ab\\"\\\\x"}', '{"k":"' + "*" * 17 + '"}'),
        (b"0123456789abcdefghij", b"0123456789aX", "0123456789aX"),
    ],
)  # fmt: skip
def test_what_is_learned_of_a_value(value: bytes, again: bytes, shown: str) -> None:
    _, found = texts(secret(value), encode.block(call(again), instance=1))
    if isinstance(found, dict):
        found = found["~str"]
    assert found == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"/cb?code=abc&state=1", "/cb?code=***&state=1"),
        (b"https://u:pw@h.example/p?Access_Token=xyz#frag", "https://u:**@h.example/p?Access_Token=***#frag"),
        (b"https://ghp_abcdef@github.com/a/b", "https://**********@github.com/a/b"),
        (b"user:secret@proxy.internal:3128", "user:******@proxy.internal:3128"),
        (b"mailto:bob@example.com", "mailto:bob@example.com"),
        (b"bob@example.com", "bob@example.com"),
        (b"/s3?X-Amz-Signature=ab12&x=1", "/s3?X-Amz-Signature=****&x=1"),
        (b"/p?page=2&monkey=3", "/p?page=2&monkey=3"),
        (b"a=b&c=d", "a=b&c=d"),
        (b"/p?sig=", "/p?sig="),
        (b"#id_token=eyJ", "#id_token=***"),
    ],
)  # fmt: skip
def test_urls(text: bytes, shown: str) -> None:
    assert texts(encode.block(call(text))) == [shown]


def test_a_parameter_of_a_url_is_known_again() -> None:
    blocks = (
        encode.block(call(b"/p?sig=Zm9vYmFyYmF6")),
        encode.block(call(b"Zm9vYmFyYmF6"), instance=1),
    )
    assert texts(*blocks)[1] == "*" * 12


def test_a_secret_in_utf16_is_known_in_utf8_and_back() -> None:
    wide = "hunter2-hunter2".encode("utf-16-le")
    image, tail = span(("secret", wide))
    first = encode.record(1, 0, image[:4] + struct.pack("<I", len(wide) // 2) + tail, call=1)
    image = struct.pack("<II", 64, len(wide) // 2)
    second = encode.record(1, 0, image + struct.pack("<I", len(wide)) + wide, call=2)
    block = encode.block(first, second, call(b"say hunter2-hunter2"))
    assert texts(block) == [{"~redacted": 15}, "*" * 15, "say " + "*" * 15]


def test_a_secret_is_known_again_in_what_a_stream_carries() -> None:
    u32 = Prim("u32")
    copies = SiteSpec(
        layout.SiteKind.BUILTIN, layout.Edge.BUILTIN, "", "", "", "stream.read",
        (("stream", u32),), u32, elements=BYTES,
    )  # fmt: skip
    data = table(site(PARAMS, encoding="utf8"), copies)
    for told in (("secret", b"sesame-open-up"), b"https://me:sesame-open-up@a.b/"):
        body = b"{'key': 'sesame-open-up'}"
        image, tail = span(body)
        packed = struct.pack("<I", len(body) << 4)
        read = encode.record(1, 1, packed + image + tail, call=2)
        found = plain(all_say(data, encode.block(call(told), read)))[-1]
        assert found["result"] == len(body) << 4
        shown = base64.b64decode(found["data"]["~b64"])
        assert shown == b"{'key': '**************'}"


def test_numbers_and_lengths_are_never_masked() -> None:
    """They may look like a secret, for a guest can make up both."""
    number = int.from_bytes(b"AAAAAAA\0", "little")
    block = encode.block(
        call(("secret", b"AAAAAAA")), call(b"AAAAAAA", numbers=b"AAAAAAAA", number=number)
    )
    _, args = said(block)
    assert args["text"] == "*******"
    assert args["deep"]["n"] == number and args["numbers"] == [0x41414141] * 2


def test_lengths_behind_a_text_stay_what_they_are() -> None:
    """ "$" is the length of the next one: a secret that ends in it must not reach over."""
    value = b"abcdef$"
    later = call(b"abcdef", [(b"n" * 0x24, b"v")], deep=b"x" * 0x24)
    _, args = said(secret(value), encode.block(later, instance=1))
    assert args["pairs"][0][0] == "n" * 0x24 and args["text"] == "abcdef"


def test_the_oldest_is_forgotten() -> None:
    records = [call(("secret", b"secret-number-%04d" % i)) for i in range(SLOTS + 1)]
    blocks = [
        encode.block(*records[i : i + 32], instance=min(i, 1)) for i in range(0, SLOTS + 1, 32)
    ]
    ask = [call(b"secret-number-%04d" % i) for i in (0, 1, SLOTS)]
    found = texts(*blocks, encode.block(*ask, instance=1))[-3:]
    # They begin alike, and what is left of the first one is enough to be masked.
    assert found[0].startswith("*" * 17) and found[1:] == ["*" * 18] * 2


def test_shown_on_request() -> None:
    block = encode.block(call(b"/p?sig=Zm9vYmFyYmF6"), final=True)
    shown = Receiver(SiteTable.parse(TABLE), show_secrets=True).receive(block)
    assert shown.records[0]["args"]["text"] == "/p?sig=Zm9vYmFyYmF6"
    sink = StderrSink(TABLE, show_secrets=True)
    sink.send(block)
    assert any("Zm9vYmFyYmF6" in line for line in sink.lines())


def test_nothing_is_copied_when_there_is_nothing_to_hide() -> None:
    for text in (b"plain text", b"x" * 64, b"bob@example.com", b"a=b&page=3", b"\xff\xff\xff\xff"):
        block = encode.block(call(text, [(b"accept", b"*/*")]))
        assert Masker(SiteTable.parse(TABLE)).mask(block) is block


FRAGMENTS = st.sampled_from([
    b"s3cr3t-t0ken", b"Bearer ", b"Basic ", b"hunter2hunter2", b"; ", b"sid=", b"Path=", b"?token=",
    b"&sig=", b"https://", b"user:", b"@", b"/", b"h.example", b".", b":", b" ", b"=", b"\0", b"$",
    b"dXNlcjpwYXNzd29yZA==", b"\xff", b"\xfd\xff\xff\xff", b"\xc3\xa4", b"abcdefghijklmnop", b"#",
    b"\"",
    b"UTF-8", b"0123", b"k" * 130, b"s\0e\0c\0r\0e\0t\0s\0", b"\t", b"localhost", b"A", b"b", b"7",
])  # fmt: skip
TEXTS = st.lists(FRAGMENTS, max_size=8).map(b"".join)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_all_who_mask_agree(data: st.DataObject) -> None:
    either = st.one_of(TEXTS, TEXTS.map(lambda text: ("secret", text)))
    blocks = []
    for number in range(data.draw(st.integers(1, 3))):
        calls = [
            call(
                data.draw(either),
                data.draw(st.lists(st.tuples(TEXTS, either), max_size=3)),
                data.draw(st.none() | either),
            )
            for _ in range(data.draw(st.integers(1, 3)))
        ]
        blocks.append(encode.block(*calls, instance=min(number, 1)))
    all_say(TABLE, *blocks)


@settings(max_examples=200, deadline=None)
@given(value=TEXTS, before=TEXTS, after=TEXTS)
def test_what_was_learned_is_nowhere(value: bytes, before: bytes, after: bytes) -> None:
    known = Secrets()
    known.learn(value)
    text = bytearray(before + value + after)
    known.scrub(text, 0, len(text))
    for secret_value, _ in known.slots:
        assert secret_value not in text or set(secret_value) == {0x2A}
    assert len(text) == len(before + value + after)


def test_the_names_are_those_of_the_sources() -> None:
    agent = (layout_file("agent.c")).split(".secrets = ")[1].split(",\n")[0]
    assert _strings(agent) == list(layout.SECRET_NAMES)
    sink = layout_file("secrets.h").split("secret_parameters[] =")[1].split(";\n")[0]
    assert _strings(sink) == list(layout.SECRET_PARAMETERS)
    assert f"SECRET_SLOTS = {SLOTS}, SECRET_KEEP = {KEEP}" in layout_file("secrets.h")


def layout_file(name: str) -> str:
    from whamm_cm.agent.build import FOLDER

    return (FOLDER / name).read_text(encoding="utf-8")


def _strings(source: str) -> list[str]:
    quoted = "".join(
        json.loads(part.strip().replace("\\0", "\\u0000"))
        for part in source.splitlines()
        if part.strip()
    )
    return quoted.rstrip("\0").split("\0")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("x-*-key", b"X-Api-Key", True), ("x-*-key", b"x-key", False), ("*-token", b"-token", True),
        ("*-token", b"auth_token", True), ("cookie", b"cookies", False),
        ("x-amz-*", b"X-Amz-", True),
    ],
)  # fmt: skip
def test_patterns(pattern: str, name: bytes, fits: bool) -> None:
    assert matches(pattern, name) is fits


@pytest.mark.parametrize(
    ("value", "harmless"),
    [
        (b"localhost:3000", True), (b"svc.ns.svc.cluster.local", True), (b"2024-01-01", True),
        (b"../relative/path", True), (b"eyJhbGciOi.eyJzdWIi.SflKxwRJ", False), (b"hunter", False),
        (b"a.b-c", False), (b"host.example:", False), (b"UTF-8x", False), (b"C.UTF-8", True),
    ],
)  # fmt: skip
def test_what_is_no_secret(value: bytes, harmless: bool) -> None:
    assert is_harmless(value) is harmless
