"""What a release can do that the one before could not."""

from __future__ import annotations

import json

from tests.gate.making import component
from whamm_cm.gate.diff import diff, document, table
from whamm_cm.gate.subject import analyse

POLL = "wasi:io/poll@0.2.3"


def changes(old: bytes, new: bytes) -> list[tuple[str, str, bool]]:
    found = diff(analyse(old, "old").subject, analyse(new, "new").subject)
    return [(one.kind, one.item, one.new) for one in found if one.kind != "size"]


def test_no_difference() -> None:
    data = component({POLL: ("poll",)})
    assert changes(data, data) == []
    assert table(()) == "no difference in capabilities\n"


def test_imports_come_and_go() -> None:
    old, new = component({POLL: ("poll",)}), component({"wasi:sockets/tcp@0.2.3": ("bind",)})
    assert changes(old, new) == [
        ("import-added", "wasi:sockets/tcp@0.2.3", True),
        ("import-removed", POLL, False),
    ]


def test_a_version_is_no_new_capability_but_a_function_is() -> None:
    old = component({POLL: ("poll",)})
    new = component({"wasi:io/poll@0.2.9": ("poll", "other")})
    assert changes(old, new) == [
        ("import-version", "wasi:io/poll", False),
        ("function-added", "wasi:io/poll@0.2.9#other", True),
    ]
    assert changes(new, old) == [
        ("import-version", "wasi:io/poll", False),
        ("function-removed", f"{POLL}#other", False),
    ]


def test_two_versions_of_one_interface_are_two_imports() -> None:
    old = component({POLL: ("poll",)})
    new = component({POLL: ("poll",), "wasi:io/poll@0.2.9": ("poll",)})
    assert changes(old, new) == [("import-added", "wasi:io/poll@0.2.9", True)]


def test_what_can_be_reached_now() -> None:
    old = component({POLL: ("poll", "other")}, calls="poll")
    new = component({POLL: ("poll", "other")}, calls="other")
    assert changes(old, new) == [
        ("no-longer-reachable", f"{POLL}#poll", False),
        ("newly-reachable", f"{POLL}#other", True),
    ]


def test_exports_and_size() -> None:
    old, new = component({}), component({}, more='(export "more" (func $run))')
    found = diff(analyse(old, "old").subject, analyse(new, "new").subject)
    assert [one.kind for one in found] == ["export-added", "size"]
    rows = json.loads(document("a", "b", found))["changes"]
    assert rows[0] == {"kind": "export-added", "item": "more", "detail": None, "new": False}
    assert table(found).startswith("+ export-added         more\n~ size ")
