"""What the page says of two releases."""

from __future__ import annotations

import wasmtime

from tests.gate.making import component
from whamm_cm.front.app import Guest
from whamm_cm.render.page.component import component_model
from whamm_cm.render.page.diff import diff_model

POLL = "wasi:io/poll@0.2.3"


def compared(old: bytes, new: bytes):
    models = component_model(old, "old.wasm"), component_model(new, "new.wasm")
    changes = Guest(old, "old.wasm").diff(Guest(new, "new.wasm"))
    return diff_model(*models, changes), models[1]


def module(*functions: str, name: str = "m") -> bytes:
    return wasmtime.wat2wasm(f"(component (core module ${name} {' '.join(functions)}))")


def test_nothing_changed() -> None:
    data = component({POLL: ("poll",)})
    found, _ = compared(data, data)
    assert found["changes"] == found["wit"] == found["tools"] == found["packages"] == []
    assert all(part["same"] and part["old"] == part["new"] for part in found["parts"])


def test_what_is_new_has_its_way() -> None:
    old = component({POLL: ("poll",)})
    new = component({POLL: ("poll",), "wasi:sockets/tcp@0.2.3": ("bind", "listen")}, calls="bind")
    found, model = compared(old, new)
    change = next(one for one in found["changes"] if one["kind"] == "import-added")
    assert (change["sign"], change["new"], change["item"]) == ("+", True, "wasi:sockets/tcp@0.2.3")
    (bind, can, way), listen = change["functions"]
    assert (bind, can) == ("bind", True)
    assert model["frames"][way[-1]][2] == "wasi:sockets/tcp@0.2.3#bind"
    assert listen == ["listen", False, None]


def test_a_function_that_is_newly_reachable_has_its_way() -> None:
    imports = {POLL: ("poll", "other")}
    found, _ = compared(component(imports, calls="poll"), component(imports, calls="other"))
    ways = {one["kind"]: [row[:2] for row in one["functions"]] for one in found["changes"]}
    assert ways["newly-reachable"] == [["other", True]]
    assert ways["no-longer-reachable"] == []


def test_functions_that_grew_came_and_went() -> None:
    old = module("(func $a)", "(func $b nop)", "(func $c nop)", "(func $same nop)")
    new = module("(func $a nop nop)", "(func $c)", "(func $d)", "(func $same nop)")
    found, _ = compared(old, new)
    part = next(one for one in found["parts"] if one["kind"] == "module")
    sizes = {name: (before, now) for name, before, now in part["functions"]}
    assert sizes["b"][1] == sizes["d"][0] == -1
    assert sizes["a"][1] - sizes["a"][0] == 2
    assert sizes["c"][1] - sizes["c"][0] == -1
    assert "same" not in sizes
    assert [name for name, _, _ in part["functions"]][0] == "b"  # three bytes, the most


def test_parts_are_found_again_where_others_came_between() -> None:
    before = wasmtime.wat2wasm(
        "(component (core module $lib (func $f)) (core module $gone (func $g nop)))"
    )
    after = wasmtime.wat2wasm(
        "(component (core module $more (func $x nop nop)) (core module $lib (func $f nop)))"
    )
    found, _ = compared(before, after)
    rows = [(p["name"], p["was"], p["old"] is None, p["new"] is None) for p in found["parts"][1:]]
    assert rows == [
        ("more", None, True, False),
        ("lib", "module[0]", False, False),
        ("gone", "module[1]", False, True),
    ]


def test_lines_of_wit() -> None:
    old, new = component({POLL: ("poll",)}), component({POLL: ("poll", "other")})
    found, _ = compared(old, new)
    assert [line.strip() for sign, line in found["wit"] if sign == "+"] == ["", "other: func();"]
    assert not any(sign == "-" for sign, _ in found["wit"])
    assert found["wit"][0] == ["@", "7 lines are the same"]


def test_tools() -> None:
    def made(version: str) -> bytes:
        text = f"\x01\x0cprocessed-by\x01\x04tool{chr(len(version))}{version}".encode()
        whole = b"\x09producers" + text
        return component({POLL: ("poll",)}) + bytes((0, len(whole))) + whole

    found, _ = compared(made("1.0"), made("1.1"))
    assert found["tools"] == [["~", "processed-by", "tool", "1.0", "1.1"]]
