"""Where requests go is said by their authority, in both releases of WASI, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime
from wasmtime import component as wc
from wasmtime import wat2wasm

from whamm_cm.front.guarding import guarded
from whamm_cm.front.verdict import policy_of

#: ``go`` does what the code says with headers and a request; each step answers 0, or the number of
#: its error and 1.
HTTP = """(component
  (import "wasi:http/types@{v}" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "{request}" (type $request (sub resource)))
    (type $h (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header (eq $h)))
    (type $e (variant (case "DNS-timeout") (case "HTTP-request-denied")))
    (export "error-code" (type (eq $e)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.set" (func (param "self" (borrow $fields)) (param "name" string)
      (param "value" (list (list u8))) (result (result (error $header)))))
    (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
      (param "value" (list u8)) (result (result (error $header)))))
    (export "[static]fields.from-list" (func (param "entries" (list (tuple string (list u8))))
      (result (result (own $fields) (error $header)))))
    (export "{make}" (func (param "headers" (own $fields)) (result {made})))
    (export "[method]{request}.set-authority" (func (param "self" (borrow $request))
      (param "authority" (option string)) (result (result))))
    (export "[method]{request}.set-path-with-query" (func (param "self" (borrow $request))
      (param "path" (option string)) (result (result))))))
  (alias export $types "{request}" (type $request))
  (alias export $types "error-code" (type $error))
  (import "wasi:http/{handler}@{v}" (instance $handler
    (alias outer 1 $request (type $or)) (export "{request}" (type $r (eq $or)))
    (alias outer 1 $error (type $oe)) (export "error-code" (type $e (eq $oe)))
    (export "{send}" (func (param "request" (own $r)) (result (result (error $e)))))))
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
  (core instance $libc (instantiate $libc))
  (core func $new (canon lower (func $types "[constructor]fields")))
  (core func $set (canon lower (func $types "[method]fields.set") (memory $libc "memory")))
  (core func $append (canon lower (func $types "[method]fields.append") (memory $libc "memory")))
  (core func $list (canon lower (func $types "[static]fields.from-list") (memory $libc "memory")))
  (core func $make (canon lower (func $types "{make}") {memory}))
  (core func $authority (canon lower (func $types "[method]{request}.set-authority")
    (memory $libc "memory")))
  (core func $path (canon lower (func $types "[method]{request}.set-path-with-query")
    (memory $libc "memory")))
  (core func $send (canon lower (func $handler "{send}") (memory $libc "memory")))
  (core module $m
    (import "l" "memory" (memory 1))
    (import "" "new" (func $new (result i32)))
    (import "" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (import "" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "" "list" (func $list (param i32 i32 i32)))
    (import "" "make" (func $make {makes}))
    (import "" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "" "path" (func $path (param i32 i32 i32 i32) (result i32)))
    (import "" "send" (func $send (param i32 i32)))
    (global $f (mut i32) (i32.const 0)) (global $r (mut i32) (i32.const 0))
    (data (i32.const 256) "good.example:443") (data (i32.const 288) "evil.example:443")
    (data (i32.const 320) "hOsT") (data (i32.const 336) "/index.html")
    (data (i32.const 352) "//evil.example/") (data (i32.const 368) "http://evil.example/")
    (data (i32.const 400) "@evil.example") (data (i32.const 416) "x-host")
    ;; two entries of a list at 512: x-host and hOsT
    (data (i32.const 512) "\\a0\\01\\00\\00\\06\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00")
    (data (i32.const 528) "\\40\\01\\00\\00\\04\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00")
    (func $told (param $at i32) (result i32)
      (select (i32.add (i32.const 1) (i32.load8_u offset=1 (local.get $at))) (i32.const 0)
        (i32.load8_u (local.get $at))))
    (func $request (global.set $r {made-of}))
    (func $to (param $at i32) (result i32)
      (call $authority (global.get $r) (i32.const 1) (local.get $at) (i32.const 16)))
    (func $at (param $at i32) (param $size i32) (result i32)
      (call $path (global.get $r) (i32.const 1) (local.get $at) (local.get $size)))
    (func $go (result i32) (call $send (global.get $r) (i32.const 64))
      (call $told (i32.const 64)))
    (func $header (param $at i32) (param $size i32) (result i32)
      (call $set (global.get $f) (local.get $at) (local.get $size) (i32.const 0) (i32.const 0)
        (i32.const 64)) (call $told (i32.const 64)))
    (func $more (param $at i32) (param $size i32) (result i32)
      (call $append (global.get $f) (local.get $at) (local.get $size) (i32.const 0) (i32.const 0)
        (i32.const 64)) (call $told (i32.const 64)))
    (func $from (param $count i32) (result i32)
      (call $list (i32.const 512) (local.get $count) (i32.const 64))
      (select (i32.add (i32.const 1) (i32.load8_u (i32.const 68))) (i32.const 0)
        (i32.load8_u (i32.const 64))))
    (func (export "go") (result i32) (global.set $f (call $new)) {code}))
  (core instance $m (instantiate $m (with "l" (instance $libc)) (with "" (instance
    (export "new" (func $new)) (export "set" (func $set)) (export "append" (func $append))
    (export "list" (func $list)) (export "make" (func $make))
    (export "authority" (func $authority)) (export "path" (func $path))
    (export "send" (func $send))))))
  (func (export "go") (result u32) (canon lift (core func $m "go"))))"""
LATER = {
    "v": "0.3.0", "request": "request", "make": "[static]request.new",
    "made": "(tuple (own $request) u32)", "memory": '(memory $libc "memory")',
    "makes": "(param i32 i32)", "handler": "client", "send": "send",
    "made-of": "(call $make (global.get $f) (i32.const 64)) (i32.load (i32.const 64))",
}  # fmt: skip
NOW = {
    "v": "0.2.0", "request": "outgoing-request", "make": "[constructor]outgoing-request",
    "made": "(own $request)", "memory": "", "makes": "(param i32) (result i32)",
    "handler": "outgoing-handler", "send": "handle", "made-of": "(call $make (global.get $f))",
}  # fmt: skip

NEW = "(call $request) "
GOOD = "(drop (call $to (i32.const 256))) "
#: What is done, what it answers, which calls reach the host.
CASES: dict[str, tuple[str, int, list[str]]] = {
    "a good one": (NEW + GOOD + "(call $go)", 0, ["make", "authority", "send"]),
    "an evil one": (NEW + "(call $to (i32.const 288))", 1, ["make"]),
    "an evil one, sent": (NEW + "(drop (call $to (i32.const 288))) (call $go)", 2, ["make"]),
    "evil after good": (NEW + GOOD + "(call $to (i32.const 288))", 1, ["make", "authority"]),
    "none": (NEW + "(call $go)", 2, ["make"]),
    "a path": (NEW + "(call $at (i32.const 336) (i32.const 11))", 0, ["make", "path"]),
    "no path": (NEW + "(call $at (i32.const 336) (i32.const 0))", 0, ["make", "path"]),
    "a URI": (NEW + "(call $at (i32.const 368) (i32.const 20))", 1, ["make"]),
    "an authority for a path": (NEW + "(call $at (i32.const 400) (i32.const 13))", 1, ["make"]),
    "a header": ("(call $header (i32.const 416) (i32.const 6))", 0, ["set"]),
    "the header Host": ("(call $header (i32.const 320) (i32.const 4))", 2, []),
    "one more Host": ("(call $more (i32.const 320) (i32.const 4))", 2, []),
    "a list": ("(call $from (i32.const 1))", 0, ["list"]),
    "Host in a list": ("(call $from (i32.const 2))", 2, []),
}


class Host:
    def __init__(self, wasm: bytes, names: dict[str, str]) -> None:
        self.seen: list[str] = []
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        linker = wc.Linker(engine)
        request, later = names["request"], names["v"] == "0.3.0"
        with linker.root() as root, root.add_instance(f"wasi:http/types@{names['v']}") as types:
            types.add_resource("fields", wc.ResourceType.host(1), lambda *_: None)
            types.add_resource(request, wc.ResourceType.host(2), lambda *_: None)
            types.add_func("[constructor]fields", lambda store: _own(store, 1))
            types.add_func("[method]fields.set", self.noting("set"))
            types.add_func("[method]fields.append", self.noting("append"))
            types.add_func("[static]fields.from-list", self.made_of_list)
            types.add_func(names["make"], self.made_later if later else self.made)
            types.add_func(
                f"[method]{request}.set-authority", self.noting("authority", wc.Variant("ok"))
            )
            types.add_func(
                f"[method]{request}.set-path-with-query", self.noting("path", wc.Variant("ok"))
            )
        place = f"wasi:http/{names['handler']}@{names['v']}"
        with linker.root() as root, root.add_instance(place) as handler:
            handler.add_resource(request, wc.ResourceType.host(2), lambda *_: None)
            handler.add_func(names["send"], self.noting("send"))
        func = linker.instantiate(self.store, wc.Component(engine, wasm)).get_func(self.store, "go")
        assert func is not None
        self.func = func

    def noting(self, name: str, answer: object = None) -> Callable[..., object]:
        def noted(store: wasmtime.Store, *given: object) -> object:
            self.seen.append(name)
            for one in given:
                if isinstance(one, wc.ResourceAny):
                    one.to_host(store)
            return answer

        return noted

    def made(self, store: wasmtime.Store, headers: wc.ResourceAny) -> object:
        headers.to_host(store)
        self.seen.append("make")
        return _own(store, 2)

    def made_later(self, store: wasmtime.Store, headers: wc.ResourceAny) -> object:
        return self.made(store, headers), 0

    def made_of_list(self, store: wasmtime.Store, _: object) -> object:
        self.seen.append("list")
        return _own(store, 1)


def _own(store: wasmtime.Store, kind: int) -> object:
    return wc.ResourceHost.own(0, kind).to_any(store)


@pytest.mark.parametrize("names", (NOW, LATER), ids=("0.2", "0.3"))
@pytest.mark.parametrize(("code", "answer", "seen"), CASES.values(), ids=CASES)
def test_requests(
    names: dict[str, str], code: str, answer: int, seen: list[str], tmp_path: Path
) -> None:
    text = HTTP
    for name, part in {**names, "code": code}.items():
        text = text.replace("{" + name + "}", part)
    wasm = bytes(wat2wasm(text))
    free = Host(wasm, names)
    assert free.func(free.store) == 0
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\npermissions: { network: { allow: [{ host: good.example, ports: [443] }] } }\n"
    )
    held = b"".join(guarded(wasm, "app.wasm", policy_of(path), "deny", "none").pieces)
    host = Host(held, names)
    assert (host.func(host.store), host.seen) == (answer, seen)
