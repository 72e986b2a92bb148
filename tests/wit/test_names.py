"""Extern names, interface names, function labels."""

from __future__ import annotations

import pytest

from tests.steps import no_endless_loop
from whamm_cm.errors import UsageError
from whamm_cm.wit.names import ExternNameParts, InterfaceName, func_label, is_label


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wasi:http/types@0.2.3", ("wasi", "http", "types", "0.2.3")),
        ("wasi:http/types", ("wasi", "http", "types", None)),
        ("wasi:http/types@0.2", ("wasi", "http", "types", "0.2")),
        ("wasi:keyvalue/store@0.2.0-draft", ("wasi", "keyvalue", "store", "0.2.0-draft")),
        ("a:b:c/d/e@1.0.0", ("a:b", "c/d", "e", "1.0.0")),
        ("my-org:p-1/JSON-api", ("my-org", "p-1", "JSON-api", None)),
    ],
)
def test_interface_name(text: str, expected: tuple[str, str, str, str | None]) -> None:
    name = InterfaceName.parse(text)
    assert (name.namespace, name.package, name.interface, name.version) == expected
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    ["", "run", "wasi:http", "http/types", "wasi:http/types@", "wasi:http/types@x", "Wasi:a/b",
     ":a/b", "a:/b", "a:b/", "a:b/c d", "[method]a.b", "a:b/c@1.2.3@4"],
)  # fmt: skip
def test_not_an_interface_name(text: str) -> None:
    assert InterfaceName.try_parse(text) is None
    with pytest.raises(UsageError):
        InterfaceName.parse(text)


def test_package_id() -> None:
    assert InterfaceName.parse("wasi:http/types@0.2.3").package_id == "wasi:http@0.2.3"
    assert InterfaceName.parse("wasi:http/types@0.2.3").path == "wasi:http/types"


@pytest.mark.parametrize(
    ("text", "kind", "label", "resource", "item_label"),
    [
        ("run", "label", "run", None, "run"),
        ("get-JSON", "label", "get-JSON", None, "get-JSON"),
        ("[async]run", "label", "run", None, "run"),
        ("[constructor]r", "constructor", None, "r", "r.new"),
        ("[method]tcp-socket.start-connect", "method", "start-connect", "tcp-socket",
         "tcp-socket.start-connect"),
        ("[static]r.make", "static", "make", "r", "r.make"),
        ("[async method]r.m", "method", "m", "r", "r.m"),
        ("[async static]r.m", "static", "m", "r", "r.m"),
        ("wasi:cli/run@0.2.0", "interface", None, None, "wasi:cli/run@0.2.0"),
        ("unlocked-dep=<a:b>", "dependency", None, None, "unlocked-dep=<a:b>"),
        ("locked-dep=<a:b@1.0.0>,integrity=<sha256-YQ==>", "dependency", None, None,
         "locked-dep=<a:b@1.0.0>,integrity=<sha256-YQ==>"),
        ("url=<https://a.b/c?d>", "url", None, None, "url=<https://a.b/c?d>"),
        ("integrity=<sha256-YQ==>", "hash", None, None, "integrity=<sha256-YQ==>"),
    ],
)  # fmt: skip
def test_extern_name(
    text: str, kind: str, label: str | None, resource: str | None, item_label: str
) -> None:
    parts = ExternNameParts.try_parse(text)
    assert parts is not None
    assert (parts.kind, parts.label, parts.resource) == (kind, label, resource)
    assert func_label(parts.text) == item_label
    assert parts.is_async is text.startswith("[async")


def test_dependency_range() -> None:
    parts = ExternNameParts.parse("unlocked-dep=<a:b@{>=1.0.0 <2.0.0}>")
    assert (parts.kind, parts.target) == ("dependency", "a:b@{>=1.0.0 <2.0.0}")


@pytest.mark.parametrize(
    "text", ["", "1a", "a--b", "a-", "aB", "[method]a", "[method]a.b.c", "[foo]a", "url=<>", "a b"]
)
def test_not_an_extern_name(text: str) -> None:
    assert ExternNameParts.try_parse(text) is None
    with pytest.raises(UsageError):
        ExternNameParts.parse(text)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("[method]tcp-socket.start-connect", "tcp-socket.start-connect"),
        ("[constructor]tcp-socket", "tcp-socket.new"),
        ("[async constructor]r", "r.new"),
        ("[static]tcp-socket.name", "tcp-socket.name"),
        ("[resource-drop]r", "r.drop"),
        ("[resource-new]r", "[resource-new]r"),
        ("tcp-socket.name", "tcp-socket.name"),
        ("run", "run"),
        ("", ""),
    ],
)
def test_func_label(name: str, label: str) -> None:
    assert func_label(name) == label


def test_labels_fail_fast() -> None:
    with no_endless_loop():
        assert not is_label("a" + "-1" * 5000 + "!")
        assert is_label("a" + "-1" * 5000)
