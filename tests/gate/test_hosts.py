"""One spelling for every host: another spelling must not slip through."""

from __future__ import annotations

import ipaddress
import os
import random

import pytest

from tests.gate.making import policy
from whamm_cm.errors import UsageError
from whamm_cm.gate.hosts import embedded, parse_authority, parse_host
from whamm_cm.gate.permissions import normal_path

EXAMPLES = max(1, int(60 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.stripe.com", "api.stripe.com"),
        ("API.Stripe.COM", "api.stripe.com"),
        ("api.stripe.com.", "api.stripe.com"),
        ("ａｐｉ.stripe.com", "api.stripe.com"),
        ("api。stripe．com", "api.stripe.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--BCHER-kva.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("[::ffff:a00:1]", "10.0.0.1"),
        ("::10.0.0.1", "10.0.0.1"),
        ("64:ff9b::10.0.0.1", "10.0.0.1"),
        ("2002:0a00:0001::", "10.0.0.1"),
        ("FE80::1%eth0", "fe80::1"),
    ],
)
def test_spellings(text: str, host: str) -> None:
    found = parse_host(text)
    assert found is not None and str(found) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "1.2.3.4.5",
        "256.1.1.1",
        "08.1.1.1",
        "a b",
        "-a",
        "::g",
        "a_/",
        "fa\u00df.de",
    ],
)
def test_what_is_no_host(text: str) -> None:
    assert parse_host(text) is None


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com:8443", "example.com:8443"),
        ("good.example@evil.example", "evil.example"),
        ("user:pass@evil.example:80", "evil.example:80"),
        ("a@b@evil.example", "evil.example"),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("2001:db8::1", "2001:db8::1"),
        ("example.com:", "example.com"),
    ],
)
def test_authorities(text: str, host: str) -> None:
    assert str(parse_authority(text)) == host


@pytest.mark.parametrize("text", ["a:b", "a:99999", "[::1", "[::1]x", "a:+1", "a:¹"])
def test_what_is_no_authority(text: str) -> None:
    assert parse_authority(text) is None


@pytest.mark.parametrize(
    ("base", "path", "whole"),
    [
        ("/data", "a/b", "/data/a/b"),
        ("/data", "../etc/passwd", "/etc/passwd"),
        ("/data", "a/../../etc", "/etc"),
        ("/data", "./a//b/.", "/data/a/b"),
        ("/data", "/etc", "/etc"),
        ("/", "../../x", "/x"),
        ("/data", "", "/data"),
    ],
)
def test_paths(base: str, path: str, whole: str) -> None:
    assert normal_path(base, path) == whole


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{host: 'http://a'}", '"http://a" is no host'),
        ("{host: 'a*.com'}", '"a*.com" is no host'),
        ("{host: '*.*.com'}", "is no host"),
        ("{cidr: 10.0.0.1/8}", "has host bits set"),
        ("{cidr: nothing}", "does not appear to be"),
        ("{host: a, cidr: 10.0.0.0/8}", 'either "host" or "cidr"'),
        ("{host: a, ports: [0]}", "a port must be a whole number of at least 1"),
        ("{host: a, ports: [70000]}", "ports must be numbers from 1 to 65535"),
        ("{hots: a}", 'did you mean "host"?'),
    ],
)
def test_lines_that_mean_nothing(entry: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy(f"permissions: {{network: {{allow: [{entry}]}}}}")
    assert message in str(caught.value) and str(caught.value).startswith("p.yaml:2:")


# every notation of one address


def notations(address: ipaddress.IPv4Address, chance: random.Random) -> list[str]:
    """What a client may take for ``address``, by way of a translator or tunnel, too."""
    number = int(address)
    a, b, c, d = address.packed
    forms = [
        str(address), f"{address}.", str(number), hex(number), f"0X{number:X}", f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a}\u3002{b}\uff0e{c}\uff61{d}", f"user:pw@{address}",
        f"[::ffff:{address}]", f"[::ffff:{a:x}{b:02x}:{c:x}{d:02x}]",
        f"[::ffff:0:{a:x}{b:02x}:{c:x}{d:02x}]",
        f"[64:ff9b::{address}]", f"[2002:{a:x}{b:02x}:{c:x}{d:02x}::1]",
        f"[::ffff:{address}%25eth0]",
    ]  # fmt: skip
    if number > 0xFFFF:
        forms.append(f"[::{address}]")
    forms += [f"{form}:{chance.randrange(65536)}" for form in forms]
    return forms


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_notations_of_an_address(seed: int) -> None:
    chance = random.Random(seed)
    address = ipaddress.IPv4Address(chance.getrandbits(32))
    for form in notations(address, chance):
        host = parse_authority(form)
        assert host is not None and host.address == address, form


@pytest.mark.parametrize(
    "text",
    ["metadata.internal\\@ok", "ok\\@metadata.internal", "metadata.internal/@ok", "a#@b", "a?@b",
     "metadata.internal\t", "a b", "a\0b", "metadata%2einternal", "http://a", "[1.2.3.4]", "[::1",
     "::1]", "[::1]x", "[::1%]", "[::1%25a/b]", "a:1:2", "a:-1", "a:+1", "a:\u0661", "a:65536",
     "a:080x", "1.2.3.256", "1.2.3.4.5", "08.8.8.8", "a..b", ".a", "-a.b", "a-.b",
     "xn--metadata-.internal", "xn--a", "\ufe52", "", ":80", "@", "a|b", "<a>", "{a}", "a^b",
     "a`b"],
)  # fmt: skip
def test_what_is_read_in_several_ways_is_no_host(text: str) -> None:
    assert parse_authority(text) is None


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("2001:0:a9fe:a9fe::1", "169.254.169.254"),  # the server of a Teredo address
        ("2001:0:1:1:0:0:5601:5601", "169.254.169.254"),  # its client, inverted
        ("fe80::5efe:a9fe:a9fe", "169.254.169.254"),
        ("fe80::200:5efe:a9fe:a9fe", "169.254.169.254"),
        ("64:ff9b:1::a9fe:a9fe", "169.254.169.254"),
        ("64:ff9b:1:a9fe:a9:fe00::", "169.254.169.254"),
    ],
)
def test_addresses_in_addresses(text: str, inner: str) -> None:
    address = ipaddress.ip_address(text)
    assert ipaddress.ip_address(inner) in embedded(address) and address in embedded(address)
    assert embedded(ipaddress.ip_address(inner)) == (ipaddress.ip_address(inner),)
