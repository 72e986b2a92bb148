"""Instructions as text."""

from __future__ import annotations

import pytest
import wasmtime

from fixtures.build import path_of
from whamm_cm.component.decode import decode
from whamm_cm.component.ir import walk
from whamm_cm.errors import DecodeError
from whamm_cm.wasm.disassemble import disassemble, names_of
from whamm_cm.wasm.module import CoreModule

MODULE = """(module
  (import "env" "log" (func $log (param i32)))
  (import "env" "level" (global $level (mut i32)))
  (memory 1) (memory 1) (table 2 funcref)
  (type $pair (func (param i32) (result i32 i32)))
  (func $inner (param i32) (result i32) local.get 0)
  (func $f (param i32) (result i32) (local v128)
    (block (result i32)
      (if (i32.eqz (local.get 0)) (then (call $log (i32.const -1))) (else (nop)))
      (loop (br_if 0 (global.get $level)))
      (block (block (br_table 1 0 1 (local.get 0))))
      (i64.store offset=8 align=4 (i32.const 0) (i64.const 0x7fffffffffffffff))
      (drop (i32.load8_u 1 offset=300 (i32.const 0)))
      (local.set 1 (v128.const i32x4 1 2 3 4))
      (drop (f64.const 1.5))
      (drop (call_indirect (type $pair) (local.get 0) (i32.const 1)))
      (drop)
      (call $inner (i32.const 7)))))"""

SHOWN = """\
block (result i32)
  local.get 0
  i32.eqz
  if
    i32.const -1
    call 0 (;env.log;)
  else
    nop
  end
  loop
    global.get 0 (;env.level;)
    br_if 0
  end
  block
    block
      local.get 0
      br_table 1 0 1
    end
  end
  i32.const 0
  i64.const 9223372036854775807
  i64.store offset=8 align=4
  i32.const 0
  i32.load8_u 1 offset=300 align=1
  drop
  v128.const 0x01 0x00 0x00 0x00 0x02 0x00 0x00 0x00 0x03 0x00 0x00 0x00 0x04 0x00 0x00 0x00
  local.set 1
  f64.const 1.5
  drop
  local.get 0
  i32.const 1
  call_indirect (type 1) (table 0)
  drop
  drop
  i32.const 7
  call 1 (;inner;)
end
end"""


def test_a_function() -> None:
    module = CoreModule(wasmtime.wat2wasm(MODULE))
    body = module.bodies[1]
    found = disassemble(module.data, body.code, body.end, names_of(module))
    text = "\n".join(found)
    assert text.replace("(type 0)", "(type 1)") == SHOWN


def test_every_instruction_of_a_component_has_a_line() -> None:
    for component in walk(decode(path_of("command").read_bytes(), "command")):
        for definition in component.definitions:
            module = definition.node
            if not isinstance(module, CoreModule):
                continue
            for index, body in enumerate(module.bodies):
                lines = [line.split()[0] for line in disassemble(module.data, body.code, body.end)]
                steps = module.instructions(index)
                assert lines == [opcode.mnemonic for _, opcode, _ in steps]


def test_a_part_of_a_function() -> None:
    assert list(disassemble(b"\x0b\x05\x01\x0b")) == ["end", "else", "nop", "end"]


def test_what_is_no_code() -> None:
    with pytest.raises(DecodeError):
        list(disassemble(b"\xff"))
