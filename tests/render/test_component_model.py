"""The model of a component for the page says what `inspect` says, and adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wasmtime

from fixtures.build import build
from tests.gate.making import component
from whamm_cm.errors import InputError
from whamm_cm.front.app import Guest
from whamm_cm.render.page.bundle import unpacked
from whamm_cm.render.page.component import component_model

COMMAND = Path("fixtures/c_command/command.wasm")
POLL = "wasi:io/poll@0.2.3"


@pytest.fixture(scope="module")
def command():
    return component_model(COMMAND.read_bytes(), "command.wasm")


def test_parts_stand_behind_what_they_are_in() -> None:
    model = component_model(build("nested"), "nested.wasm")
    paths = [(part["path"], part["in"]) for part in model["parts"]]
    assert paths[:4] == [
        ("", -1),
        ("component[0]", 0),
        ("component[0].module[0]", 1),
        ("component[1]", 0),
    ]
    for part, (path, around) in zip(model["parts"][1:], paths[1:], strict=True):
        assert path.rpartition(".")[0] == model["parts"][around]["path"]
        assert part["size"] < model["parts"][around]["size"]
    instances = {p["path"]: p["instances"] for p in model["parts"] if p["kind"] == "component"}
    assert [instances[f"component[{index}]"] for index in range(3)] == [2, 3, 1]


def test_what_is_in_a_part_is_not_more_than_the_part(command) -> None:
    for position, part in enumerate(command["parts"]):
        inside = sum(size for _, size, _, _ in part["sections"])
        inside += sum(one["size"] for one in command["parts"] if one["in"] == position)
        assert 0 < inside <= part["size"], part["path"]


def test_functions_fill_the_code_section(command) -> None:
    for part in command["parts"]:
        if part["kind"] != "module":
            continue
        inside = unpacked(part["inside"])
        assert [len(inside["imports"]), len(inside["exports"])] == part["counts"][:2]
        assert len(inside["names"]) == len(inside["sizes"]) == part["counts"][2]
        sizes = {name: size for name, size, _, custom in part["sections"] if not custom}
        heads = sizes.get("code", 0) - sum(inside["sizes"])
        assert 0 <= heads <= 5 * len(inside["sizes"]) + 5


def test_functions_have_their_names(command) -> None:
    main = next(part for part in command["parts"] if part["name"] == "main")
    inside = unpacked(main["inside"])
    assert inside["first"] == 35
    assert "run" in "".join(inside["names"])


def test_every_way_begins_outside_and_ends_at_the_import(command) -> None:
    root = command["capabilities"][0]
    assert root["part"] == 0
    reached = [
        (one, function)
        for one in root["imports"]
        for function in one["functions"]
        if function["reachable"]
    ]
    assert len(reached) > 10
    for one, function in reached:
        first, *_, last = (command["frames"][position] for position in function["why"])
        assert first[0] in ("export", "start", "instantiation")
        assert last[0] == "import"
        assert last[2] == f"{one['name']}#{function['name']}"


def test_what_cannot_be_reached_has_no_way() -> None:
    data = component({POLL: ("poll", "other")}, calls="poll")
    (one,) = component_model(data, "a")["capabilities"][0]["imports"]
    assert [(f["name"], f["reachable"], "why" in f) for f in one["functions"]] == [
        ("poll", True, True),
        ("other", False, False),
    ]


def test_code_that_cannot_be_followed_is_said() -> None:
    # The core code uses an opcode that nobody knows, so nothing is known of what it reaches.
    good = component({POLL: ("poll",)})
    bad = good.replace(b"\x10\x00\x0b", b"\xff\x00\x0b")
    assert bad != good
    model = component_model(bad, "bad")
    assert "0xff" in model["unreached"]
    assert model["capabilities"] == []
    assert POLL in model["wit"][0][1]


def test_a_core_module_is_its_own_root() -> None:
    data = build("squares")
    model = component_model(data, "squares.wasm")
    assert model["alone"]
    (part,) = model["parts"]
    assert (part["kind"], part["in"], part["size"]) == ("module", -1, len(data))
    assert model["wit"][0][0] == 0
    assert [row["part"] for row in model["capabilities"]] == [0]


def test_a_core_module_with_a_way() -> None:
    data = wasmtime.wat2wasm(
        '(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))'
        ' (func (export "_start") (drop (call 0))))'
    )
    model = component_model(data, "yield.wasm")
    (one,) = model["capabilities"][0]["imports"]
    (function,) = one["functions"]
    kinds = [model["frames"][position][0] for position in function["why"]]
    assert kinds[0] == "export" and kinds[-1] == "import"


def test_the_wit_is_that_of_inspect(command) -> None:
    assert command["wit"][0] == [0, Guest(COMMAND.read_bytes(), "command.wasm").wit()]


def test_a_damaged_module_is_shown_with_its_fault() -> None:
    data = component({POLL: ("poll",)})
    broken = data.replace(b"\x00asm\x01\x00\x00\x00\x01", b"\x00asm\x01\x00\x00\x00\x7e")
    assert broken != data
    part = component_model(broken, "broken")["parts"][1]
    assert part["fault"] and part["sections"] == []


def test_what_is_no_component_is_refused() -> None:
    with pytest.raises(InputError, match="readme.txt"):
        component_model(b"hello, world", "readme.txt")


def test_the_model_is_json_and_always_the_same(command) -> None:
    again = component_model(COMMAND.read_bytes(), "command.wasm")
    assert json.dumps(again) == json.dumps(command)
