"""A call that is denied has dropped what it was given for good, as the called one would have."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from wasmtime import component as wc
from wasmtime import wat2wasm

from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of

#: ``go(n)`` makes two things and gives some of them away; 100 and more is how an error is numbered.
SHOP = """(component
  (import "acme:shop/stock@1.0.0" (instance $stock
    (export "thing" (type $thing (sub resource)))
    (export "[constructor]thing" (func (result (own $thing))))
    (type $e (enum "full" "access"))
    (export "error" (type $error (eq $e)))
    (export "give" (func (param "one" (own $thing)) (param "more" (option (own $thing)))
      (result (result (error $error)))))
    (type $pair (tuple u8 (own $thing)))
    (type $which (variant (case "a" u64) (case "b" (own $thing)) (case "c" $pair)))
    (export "which" (type $what (eq $which)))
    (type $l (tuple u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64 u64))
    (export "spill" (func (param "rest" $l) (param "what" $what) (param "one" (own $thing))
      (result (result (error $error)))))
    (export "lent" (func (param "one" (borrow $thing)) (param "list" (list (own $thing)))
      (result (result (error $error)))))))
  {alias}
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $libc (instantiate $libc))
  (core func $new (canon lower (func $stock "[constructor]thing")))
  (core func $give (canon lower (func $stock "give") (memory $libc "memory")))
  (core func $spill (canon lower (func $stock "spill") (memory $libc "memory")))
  (core module $m
    (import "l" "memory" (memory 1))
    (import "" "new" (func $new (result i32)))
    (import "" "give" (func $give (param i32 i32 i32 i32)))
    (import "" "spill" (func $spill (param i32 i32)))
    (func $told (result i32)
      (select (i32.add (i32.const 100) (i32.load8_u (i32.const 9))) (i32.const 0)
        (i32.load8_u (i32.const 8))))
    (func (export "go") (param $n i32) (result i32) (local $a i32) (local $b i32)
      (local.set $a (call $new)) (local.set $b (call $new))
      (if (i32.eq (local.get $n) (i32.const 0))
        (then (call $give (local.get $a) (i32.const 0) (i32.const 0) (i32.const 8))))
      (if (i32.eq (local.get $n) (i32.const 1))
        (then (call $give (local.get $a) (i32.const 1) (local.get $b) (i32.const 8))))
      (if (i32.eq (local.get $n) (i32.const 2))
        (then (call $give (local.get $a) (i32.const 1) (local.get $a) (i32.const 8))))
      (if (i32.eq (local.get $n) (i32.const 3))
        (then (call $give (local.get $a) (i32.const 0) (i32.const 0) (i32.const 8))
              (call $give (local.get $a) (i32.const 0) (i32.const 0) (i32.const 8))))
      (if (i32.ge_u (local.get $n) (i32.const 4)) (then
        ;; spilled: 15 numbers, the variant at 256 + 120, the handle behind it at 256 + 136
        (i32.store8 (i32.const 376) (i32.sub (local.get $n) (i32.const 4)))
        (i32.store (i32.const 384) (local.get $b)) (i32.store (i32.const 388) (local.get $b))
        (i32.store (i32.const 392) (local.get $a))
        (call $spill (i32.const 256) (i32.const 8))))
      (call $told)))
  (core instance $m (instantiate $m (with "l" (instance $libc)) (with "" (instance
    (export "new" (func $new)) (export "give" (func $give)) (export "spill" (func $spill))))))
  (func (export "go") (param "n" u32) (result u32) (canon lift (core func $m "go"))))"""
SPELLINGS = {
    "an alias": SHOP.replace("{alias}", '(alias export $stock "thing" (type $thing))'),
    "none": SHOP.replace("{alias}", ""),
}


class Host:
    """How many things there are, and how many calls came through."""

    def __init__(self, wasm: bytes) -> None:
        self.made, self.dropped, self.calls = 0, list[int](), 0
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        linker = wc.Linker(engine)
        kind = wc.ResourceType.host(7)
        with linker.root() as root, root.add_instance("acme:shop/stock@1.0.0") as stock:
            stock.add_resource("thing", kind, lambda _, rep: self.dropped.append(rep))
            stock.add_func("[constructor]thing", self.make)
            stock.add_func("give", self.take)
            stock.add_func("spill", self.take)
            stock.add_func("lent", self.take)
        func = linker.instantiate(self.store, wc.Component(engine, wasm)).get_func(self.store, "go")
        assert func is not None
        self.func = func

    def make(self, store: wasmtime.Store) -> wc.ResourceAny:
        self.made += 1
        return wc.ResourceHost.own(self.made, 7).to_any(store)

    def take(self, store: wasmtime.Store, *_: object) -> object:
        self.calls += 1
        return wc.Variant("ok")

    def go(self, number: int) -> int | str:
        try:
            found = self.func(self.store, number)
            assert isinstance(found, int)
            return found
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            return str(error)


def shop(text: str, folder: Path, deny: str = "{give,spill}") -> bytes:
    path = folder / "policy.yaml"
    path.write_text(f'version: 1\nimports: {{ deny: ["acme:shop/stock#{deny}"] }}\n')
    found = guarded(bytes(wat2wasm(text)), "shop.wasm", policy_of(path), "deny", "none")
    return b"".join(found.pieces)


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_what_it_was_given_is_dropped(text: str, tmp_path: Path) -> None:
    wasm = shop(text, tmp_path)
    for number, dropped in ((0, [1]), (1, [1, 2]), (4, [1]), (5, [2, 1]), (6, [2, 1])):
        host = Host(wasm)
        assert (number, host.go(number), host.dropped, host.calls) == (number, 101, dropped, 0)


def test_what_is_no_handle_any_more_traps_as_at_the_host(tmp_path: Path) -> None:
    wasm = shop(SPELLINGS["an alias"], tmp_path)
    for number, dropped in ((2, [1]), (3, [1])):
        host = Host(wasm)
        assert "unknown handle index" in str(host.go(number))
        assert (host.dropped, host.calls) == (dropped, 0)
