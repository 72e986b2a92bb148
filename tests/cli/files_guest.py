"""A guest that does to files what it is told, call by call: each method of a descriptor is an
export with numbers and texts for parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import wasmtime
from wasmtime import component as wc
from wasmtime import wat2wasm

ERRORS = (
    "access", "would-block", "already", "bad-descriptor", "busy", "deadlock", "quota", "exist",
    "file-too-large", "illegal-byte-sequence", "in-progress", "interrupted", "invalid", "io",
    "is-directory", "loop", "too-many-links", "message-size", "name-too-long", "no-device",
    "no-entry", "no-lock", "insufficient-memory", "insufficient-space", "not-directory",
    "not-empty", "not-recoverable", "unsupported", "no-tty", "no-such-device", "overflow",
    "not-permitted", "pipe", "read-only", "invalid-seek", "text-file-busy", "cross-device",
)  # fmt: skip
READ, WRITE, MUTATE = 1, 2, 32
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE = 1, 2, 4, 8
FOLLOW = 1

#: Parameters behind the descriptor (``s`` text, ``b`` bytes, ``d`` descriptor, ``t`` two times that
#: are not to change, else a type), the result, and where its payload is.
_METHODS = {
    "open-at": ("path-flags path:s open-flags descriptor-flags", "(own $descriptor)", 4),
    "stat-at": ("path-flags path:s", "$descriptor-stat", 8),
    "readlink-at": ("path:s", "string", 4),
    "metadata-hash-at": ("path-flags path:s", "$metadata-hash-value", 8),
    "create-directory-at": ("path:s", "", 1),
    "remove-directory-at": ("path:s", "", 1),
    "unlink-file-at": ("path:s", "", 1),
    "set-times-at": ("path-flags path:s times:t", "", 1),
    "symlink-at": ("old-path:s new-path:s", "", 1),
    "link-at": ("path-flags old-path:s new-descriptor:d new-path:s", "", 1),
    "rename-at": ("old-path:s new-descriptor:d new-path:s", "", 1),
    "read": ("length:u64 offset:u64", "(tuple (list u8) bool)", 4),
    "write": ("buffer:b offset:u64", "u64", 8),
    "read-via-stream": ("offset:u64", "(own $input-stream)", 4),
    "write-via-stream": ("offset:u64", "(own $output-stream)", 4),
    "append-via-stream": ("", "(own $output-stream)", 4),
    "read-directory": ("", "(own $directory-entry-stream)", 4),
    "stat": ("", "$descriptor-stat", 8),
    "set-size": ("size:u64", "", 1),
    "set-times": ("times:t", "", 1),
    "sync": ("", "", 1),
    "get-flags": ("", "$descriptor-flags", 1),
    "get-type": ("", "$descriptor-type", 1),
    "metadata-hash": ("", "$metadata-hash-value", 8),
}  # fmt: skip
#: Kinds of parameters: types of the host's, core types, types of the export's.
_KINDS = {
    "s": (("string",), "i32 i32", "string"),
    "b": (("(list u8)",), "i32 i32", "string"),
    "d": (("(borrow $descriptor)",), "i32", "u32"),
    "t": (("$new-timestamp",) * 2, "", ""),
    "u64": (("u64",), "i64", "u64"),
}  # fmt: skip


def _flags(name: str, labels: str) -> str:
    return _named(name, f"(flags {' '.join(map(_quoted, labels.split()))})")


def _named(name: str, what: str) -> str:
    return f"(type ${name}' {what}) (export \"{name}\" (type ${name} (eq ${name}')))"


def _quoted(label: str) -> str:
    return f'"{label}"'


def _params(method: str) -> list[tuple[str, str]]:
    words = (word.partition(":") for word in _METHODS[method][0].split())
    return [(name, kind or name) for name, _, kind in words]


def _interface() -> str:
    lines = [
        '(export "descriptor" (type $descriptor (sub resource)))',
        '(export "directory-entry-stream" (type $directory-entry-stream (sub resource)))',
        *(f'(alias outer 1 ${name} (type ${name}\'))'
          f' (export "{name}" (type ${name} (eq ${name}\')))'
          for name in ("input-stream", "output-stream", "datetime")),
        _named("descriptor-type", '(enum "unknown" "block-device" "character-device" "directory"'
               ' "fifo" "symbolic-link" "regular-file" "socket")'),
        _flags("descriptor-flags", "read write file-integrity-sync data-integrity-sync"
               " requested-write-sync mutate-directory"),
        _flags("path-flags", "symlink-follow"),
        _flags("open-flags", "create directory exclusive truncate"),
        _named("descriptor-stat", '(record (field "type" $descriptor-type)'
               ' (field "link-count" u64) (field "size" u64)'
               + "".join(f' (field "{name}-timestamp" (option $datetime))'
                         for name in ("data-access", "data-modification", "status-change")) + ")"),
        _named("new-timestamp", '(variant (case "no-change") (case "now")'
               ' (case "timestamp" $datetime))'),
        _named("metadata-hash-value", '(record (field "lower" u64) (field "upper" u64))'),
        _named("error-code", f"(enum {' '.join(map(_quoted, ERRORS))})"),
    ]  # fmt: skip
    for method, (_, ok, _) in _METHODS.items():
        params = ['(param "self" (borrow $descriptor))']
        for name, kind in _params(method):
            types = _KINDS[kind][0] if kind in _KINDS else (f"${kind}",)
            names = ("data-access", "data-modification") if kind == "t" else (name,)
            params += [f'(param "{n}" {t})' for n, t in zip(names, types, strict=True)]
        lines.append(f'(export "[method]descriptor.{method}" (func {" ".join(params)}'
                     f" (result (result {ok} (error $error-code)))))")  # fmt: skip
    return "\n".join(lines)


def _core(method: str) -> tuple[str, str]:
    """The import of a method, and what calls it."""
    imported, own, passed = ["i32"], ["i32"], ["(local.get 0)"]
    for _, kind in _params(method):
        if kind == "t":
            imported += ["i32", "i64", "i32"] * 2
            passed += ["(i32.const 0)", "(i64.const 0)", "(i32.const 0)"] * 2
            continue
        for core in (_KINDS[kind][1] if kind in _KINDS else "i32").split():
            passed.append(f"(local.get {len(own)})")
            imported.append(core)
            own.append(core)
    at = 16 + _METHODS[method][2]
    return (
        f'(import "" "{method}" (func ${method} (param {" ".join(imported)} i32)))',
        f"""(func (export "{method}") (param {" ".join(own)}) (result i64)
          (call ${method} {" ".join(passed)} (i32.const 16))
          (i64.or (i64.load8_u (i32.const 16))
            (i64.shl (i64.load32_u (i32.const {at})) (i64.const 8))))""",
    )


def _lift(method: str, encoding: str) -> str:
    params = ['(param "self" u32)']
    for name, kind in _params(method):
        if kind != "t":
            shown = _KINDS[kind][2] if kind in _KINDS else "u32"
            params.append(f'(param "{name}" {shown})')
    return f"""(func (export "{method}") {" ".join(params)} (result u64)
      (canon lift (core func $m "{method}") (memory $memory) (realloc $realloc) {encoding}))"""


@cache
def files_guest(encoding: str = "", version: str = "0.2.0", overlaid: bool = False) -> bytes:
    """``encoding``: of its texts, as an option of ``canon``; ``overlaid``: all of them are put to
    one place, where the last one is seen as all."""
    overlay = "(if (i32.eq (local.get 2) (i32.const 1)) (then (return (i32.const 2048))))"
    cores = [_core(method) for method in _METHODS]
    options = f"(memory $memory) (realloc $realloc) {encoding}"
    lowers = [f'(core func ${m} (canon lower (func $fs "[method]descriptor.{m}") {options}))'
              for m in _METHODS]  # fmt: skip
    made = wat2wasm(f"""(component
  (import "wasi:io/streams@{version}" (instance $io
    (export "input-stream" (type (sub resource))) (export "output-stream" (type (sub resource)))))
  (alias export $io "input-stream" (type $input-stream))
  (alias export $io "output-stream" (type $output-stream))
  (import "wasi:clocks/wall-clock@{version}" (instance $clock
    (type $datetime' (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type (eq $datetime')))))
  (alias export $clock "datetime" (type $datetime))
  (import "wasi:filesystem/types@{version}" (instance $fs {_interface()}))
  (alias export $fs "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@{version}" (instance $pre
    (alias outer 1 $descriptor (type $d)) (export "descriptor" (type $descriptor (eq $d)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (core module $mem (memory (export "memory") 4) (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      {overlay if overlaid else ""}
      (if (i32.gt_u (global.get $next) (i32.const 131072))
        (then (global.set $next (i32.const 4096))))
      (memory.copy (global.get $next) (local.get 0) (local.get 1))
      (global.get $next)
      (global.set $next (i32.and (i32.const -8)
        (i32.add (global.get $next) (i32.add (local.get 3) (i32.const 7)))))))
  (core instance $mem (instantiate $mem))
  (alias core export $mem "memory" (core memory $memory))
  (alias core export $mem "realloc" (core func $realloc))
  {" ".join(lowers)}
  (core func $directories (canon lower (func $pre "get-directories") {options}))
  (core func $drop (canon resource.drop $descriptor))
  (core module $m (import "mem" "memory" (memory 4)) {" ".join(one for one, _ in cores)}
    (import "" "directories" (func $directories (param i32)))
    (import "" "drop" (func $drop (param i32)))
    {" ".join(one for _, one in cores)}
    (func (export "preopen") (param i32) (result i32)
      (call $directories (i32.const 16))
      (i32.load (i32.add (i32.load (i32.const 16)) (i32.mul (local.get 0) (i32.const 12)))))
    (func (export "name-length") (param i32) (result i32)
      (call $directories (i32.const 16))
      (i32.load offset=8
        (i32.add (i32.load (i32.const 16)) (i32.mul (local.get 0) (i32.const 12)))))
    (func (export "name-byte") (param i32 i32) (result i32)
      (i32.load8_u (i32.add (local.get 1) (i32.load offset=4
        (i32.add (i32.load (i32.const 16)) (i32.mul (local.get 0) (i32.const 12)))))))
    (func (export "drop") (param i32) (call $drop (local.get 0)))
    ;; Opens where the name and the answer share memory: the number becomes the name.
    (func (export "overlaid") (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 36) (local.get 1))
      (call $open-at (local.get 0) (i32.const 0) (i32.const 36) (i32.const 1) (i32.const 2)
        (local.get 2) (i32.const 32))
      (i32.load (i32.const 36))))
  (core instance $m (instantiate $m (with "mem" (instance $mem)) (with "" (instance
    {" ".join(f'(export "{m}" (func ${m}))' for m in _METHODS)}
    (export "directories" (func $directories)) (export "drop" (func $drop))))))
  {" ".join(_lift(m, encoding) for m in _METHODS)}
  (func (export "preopen") (param "index" u32) (result u32)
    (canon lift (core func $m "preopen")))
  (func (export "name-length") (param "index" u32) (result u32)
    (canon lift (core func $m "name-length")))
  (func (export "name-byte") (param "index" u32) (param "at" u32) (result u32)
    (canon lift (core func $m "name-byte")))
  (func (export "overlaid") (param "self" u32) (param "name" u32) (param "flags" u32) (result u32)
    (canon lift (core func $m "overlaid")))
  (func (export "drop") (param "self" u32) (canon lift (core func $m "drop"))))""")
    return bytes(made)


@cache
def _compiled(wasm: bytes) -> tuple[wasmtime.Engine, wc.Component]:
    engine = wasmtime.Engine()
    return engine, wc.Component(engine, wasm)


class Files:
    """An instance of it; ``directories``: host paths by guest names, in order."""

    def __init__(self, wasm: bytes, directories: Mapping[str, Path]) -> None:
        engine, component = _compiled(wasm)
        linker = wc.Linker(engine)
        linker.add_wasip2()
        self.store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        for name, path in directories.items():
            wasi.preopen_dir(str(path), name)
        self.store.set_wasi(wasi)
        self.instance = linker.instantiate(self.store, component)
        self.roots = {name: self.call("preopen", i) for i, name in enumerate(directories)}

    def call(self, name: str, *args: object) -> int:
        func = self.instance.get_func(self.store, name)
        assert func is not None
        found = func(self.store, *args)
        return 0 if found is None else found

    def __call__(self, method: str, *args: object) -> int | str:
        """A handle, 0, or the error in words."""
        found = self.call(method, *args)
        if found & 0xFF:
            return ERRORS[found >> 8 & 0xFF]
        return found >> 8 if "(own" in _METHODS[method][1] else 0
