"""Libraries that are core modules: what scripts may call of them, and that they run as they are in
one module with everything else."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import Func, Global, Instance, Memory, Module, Store, Trap

from fixtures.build import build
from tests.wasm.core_samples import engine
from tests.weave.libs import (
    WASI,
    component_library,
    fake_state,
    module_library,
    real_state,
    shown_scripts,
    text,
)
from whamm_cm.errors import InputError, UsageError, WeaveError, WhammError
from whamm_cm.lang.library import LibFunction
from whamm_cm.lang.load import load
from whamm_cm.lang.valtypes import F32, F64, I32, I64, UNIT
from whamm_cm.wasm.link import Part, link
from whamm_cm.weave.libraries import (
    Library,
    LibraryOption,
    core_type,
    load_library,
    parse_lib_option,
    parts,
)

# --- the option -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "name", "import_name", "path"),
    [
        ("cache=cache.wasm", "cache", "cache", "cache.wasm"),
        ("cache(env)=libs/cache.wasm", "cache", "env", "libs/cache.wasm"),
        ("cache()=c.wasm", "cache", "cache", "c.wasm"),
        ("_c2 (wasi:x/y)=a=b(c).wasm", "_c2", "wasi:x/y", "a=b(c).wasm"),
    ],
)
def test_the_option_names_a_library(option: str, name: str, import_name: str, path: str) -> None:
    assert parse_lib_option(option) == LibraryOption(name, import_name, path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("cache.wasm", "--lib cache.wasm: write it as NAME=FILE, for example cache=cache.wasm"),
        ("cache=", "--lib cache=: write it as NAME=FILE, for example cache=cache.wasm"),
        ("a(b=c.wasm", "--lib a(b=c.wasm: write it as NAME=FILE, for example cache=cache.wasm"),
        ("=c.wasm", "--lib =c.wasm: '' is not a name a script can use"),
        ("my-lib=c.wasm", "--lib my-lib=c.wasm: 'my-lib' is not a name a script can use"),
        ("whamm_core=c.wasm",
         "--lib whamm_core=c.wasm: whamm_core is built in; leave the option out"),
        ("state=c.wasm",
         "--lib state=c.wasm: state means something else to us; choose another name"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_sentence(option: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_lib_option(option)
    assert str(error.value) == message


# --- what scripts may call ------------------------------------------------------------------------


def test_scalar_functions_become_script_functions() -> None:
    library = module_library(
        """(memory (export "heap") 1) (global (export "g") i32 (i32.const 0))
        (func (export "all") (param i32 i64 f32 f64) (result f64) (f64.const 0))
        (func (export "nothing"))
        (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0))
        (func (export "vector") (param v128))
        (func (export "reference") (result funcref) (ref.null func))
        (func (export "_initialize")) (func (export "_start"))"""
    )
    assert library.signature.functions == {
        "all": LibFunction((I32, I64, F32, F64), F64),
        "nothing": LibFunction((), UNIT),
    }
    assert (library.kind, library.memory, library.signature.has_memory) == ("module", "heap", True)
    assert (library.name, library.prints, library.initialize) == ("lib", False, True)
    assert core_type(library.signature.functions["all"]) == (("i32", "i64", "f32", "f64"), ("f64",))
    assert core_type(library.signature.functions["nothing"]) == ((), ())


_CALLABLE = '(func (export "f") (param i32))'
BAD: Mapping[str, tuple[bytes, str]] = {
    "no wasm": (
        b"#!/bin/sh",
        "bad.wasm, given as library 'bad', is neither a core WebAssembly module nor a component",
    ),
    "empty": (
        b"",
        "bad.wasm, given as library 'bad', is neither a core WebAssembly module nor a component",
    ),
    "no exports": (
        text("(module)"),
        "bad.wasm exports no function a script could call as library 'bad': parameters are i32,"
        " i64, f32 or f64, and there is at most one result",
    ),
    "another import": (
        text(f'(module (import "env" "log" (func (param i32))) {_CALLABLE})'),
        "bad.wasm cannot be embedded as a library: it imports the func env.log, but a library gets"
        " functions of wasi_snapshot_preview1 only",
    ),
    "a memory": (
        text(f'(module (import "{WASI}" "memory" (memory 1)) {_CALLABLE})'),
        "bad.wasm cannot be embedded as a library: it imports the memory"
        " wasi_snapshot_preview1.memory, but a library gets functions of wasi_snapshot_preview1"
        " only",
    ),
    "no memory": (
        text(f'(module (import "{WASI}" "random_get" (func (param i32 i32) (result i32)))'
             f" {_CALLABLE})"),
        "bad.wasm cannot be embedded as a library: it imports random_get, which works on memory,"
        " but exports none",
    ),
    "a memory of 64 bits": (
        text(f'(module (import "{WASI}" "environ_get" (func (param i32 i32) (result i32)))'
             f' (memory (export "memory") i64 1) {_CALLABLE})'),
        "bad.wasm cannot be embedded as a library: it imports environ_get, but WASI preview 1"
        " cannot work on its 64-bit memory",
    ),
    "a wrong type": (
        text(f'(module (import "{WASI}" "fd_write" (func (param i64) (result i32)))'
             f' (memory (export "memory") 1) {_CALLABLE})'),
        "bad.wasm cannot be embedded as a library: it imports fd_write of wasi_snapshot_preview1"
        " with a type that is not the one it has there",
    ),
    "no such function": (
        text(f'(module (import "{WASI}" "fly" (func (result i64))) {_CALLABLE})'),
        "bad.wasm cannot be embedded as a library: it imports fly of wasi_snapshot_preview1, which"
        " has no such function",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_useless_library_is_one_sentence(what: str) -> None:
    data, message = BAD[what]
    with pytest.raises(InputError) as error:
        load_library("bad", data, "bad.wasm")
    assert str(error.value) == message


@given(st.integers(0, 300), st.binary(max_size=4))
def test_a_damaged_library_is_refused_with_our_errors_or_read(at: int, junk: bytes) -> None:
    whole = module_library('(memory (export "memory") 1) (func (export "f") (param i32))').data
    data = whole[:at] + junk + whole[at + len(junk) :]
    try:
        assert load_library("lib", data, "lib.wasm").functions
    except WhammError as error:
        assert str(error)


# --- in one module --------------------------------------------------------------------------------


class Linked:
    """A unit in text with libraries and state; exported functions by ``call``."""

    def __init__(self, unit: str, *libraries: Library, state: list[Part] | None = None) -> None:
        modules = [Part("unit", text(f"(module {unit})"), "unit", "all")]
        for library in libraries:
            modules += parts(library, site=7)
        modules += [fake_state()] if state is None else state
        wasm = link(modules, start_order=[library.name for library in libraries])
        self.store = Store(engine())
        module = Module(engine(), wasm)
        assert [import_.name for import_ in module.imports] == []
        self.exports = Instance(self.store, module, []).exports(self.store)

    def call(self, name: str, *args: int) -> object:
        func = self.exports[name]
        assert isinstance(func, Func)
        return func(self.store, *args)

    @property
    def printed(self) -> bytes:
        end, memory = self.exports["printed"], self.exports["memory"]
        assert isinstance(end, Global) and isinstance(memory, Memory)
        return bytes(memory.read(self.store, 1024, end.value(self.store)))


#: Room for one iovec at 0, the number of bytes written at 8.
WRITER = f"""
  (import "{WASI}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (func (export "say") (param $fd i32) (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (i32.store (i32.const 8) (i32.const -1))
    (i32.add (i32.mul (i32.const 1000000)
        (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.load (i32.const 8))))"""
SAY = """
  (import "lib" "say" (func $say (param i32 i32 i32) (result i32)))
  (func (export "say") (param i32 i32 i32) (result i32)
    (call $say (local.get 0) (local.get 1) (local.get 2)))"""


def data_at(address: int, raw: bytes) -> str:
    escaped = "".join(f"\\{byte:02x}" for byte in raw)
    return f'(data (i32.const {address}) "{escaped}")'


def test_the_unit_calls_the_library_and_its_memory_stays_its_own() -> None:
    library = module_library(
        """(memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
        (func (export "count") (param i32) (result i32)
          (i32.store (i32.const 16) (local.get 0))
          (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))"""
    )
    unit = """
      (import "lib" "count" (func $count (param i32) (result i32)))
      (import "lib" "memory" (memory $theirs 1)) (memory $mine 1)
      (func (export "count") (param i32) (result i32) (call $count (local.get 0)))
      (func (export "theirs") (result i32) (i32.load $theirs (i32.const 16)))
      (func (export "mine") (result i32) (i32.load $mine (i32.const 16)))"""
    linked = Linked(unit, library)
    assert [linked.call("count", 5), linked.call("count", 6)] == [5, 11]
    assert (linked.call("theirs"), linked.call("mine")) == (6, 0)


def test_two_libraries_with_wasi_each_keep_their_own() -> None:
    first = module_library(WRITER + data_at(100, b"first"), "one")
    second = module_library(WRITER + data_at(100, b"second"), "two")
    unit = """
      (import "one" "say" (func $one (param i32 i32 i32) (result i32)))
      (import "two" "say" (func $two (param i32 i32 i32) (result i32)))
      (func (export "go") (result i32)
        (i32.add (call $one (i32.const 1) (i32.const 100) (i32.const 5))
          (call $two (i32.const 2) (i32.const 100) (i32.const 6))))"""
    linked = Linked(unit, first, second)
    assert linked.call("go") == 11
    assert linked.printed == b"\7first\7second"


def test_what_a_library_writes_is_printed_by_its_site() -> None:
    linked = Linked(SAY, module_library(WRITER + data_at(101, b"hello w\xc3\xb6rld")))
    assert linked.call("say", 1, 101, 12) == 12
    assert linked.call("say", 2, 106, 0) == 0
    assert linked.call("say", 0, 101, 5) == 8_000_000 - 1  # EBADF, nothing written
    assert linked.call("say", 3, 101, 5) == 8_000_000 - 1
    assert linked.printed == "\7hello wörld".encode()


def test_text_at_the_end_of_memory_is_read_and_not_beyond() -> None:
    linked = Linked(SAY, module_library(WRITER + data_at(3 * 65536 - 11, b"at the end.")))
    assert linked.call("say", 1, 3 * 65536 - 11, 11) == 11
    assert linked.printed == b"\7at the end."
    with pytest.raises(Trap):
        linked.call("say", 1, 3 * 65536 - 11, 12)


@given(st.text(st.sampled_from("aö☃𝄞"), min_size=1, max_size=12), st.integers(1, 30_000))
def test_long_text_comes_in_whole_characters(pattern: str, size: int) -> None:
    words = (pattern * (size // len(pattern) + 1))[:size].encode()
    linked = Linked(SAY, module_library(WRITER + data_at(64, words)))
    assert linked.call("say", 1, 64, len(words)) == len(words)
    chunks = linked.printed.split(b"\7")[1:]
    assert b"".join(chunks) == words
    assert [chunk.decode().encode() for chunk in chunks] == chunks


OTHERS = {
    "environ_sizes_get": ("i32 i32", (16, 24), 0),
    "args_sizes_get": ("i32 i32", (16, 24), 0),
    "environ_get": ("i32 i32", (16, 24), 0),
    "args_get": ("i32 i32", (16, 24), 0),
    "fd_prestat_get": ("i32 i32", (3, 16), 8),
    "fd_close": ("i32", (1,), 0),
    "fd_seek": ("i32 i64 i32 i32", (1, 0, 0, 16), 70),
    "fd_fdstat_get": ("i32 i32", (3, 16), 8),
    "path_open": ("i32 i32 i32 i32 i32 i64 i64 i32 i32", (3,) * 9, 52),
    "sock_shutdown": ("i32 i32", (3, 0), 52),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_rest_of_wasi_answers_as_if_there_were_nothing(name: str) -> None:
    params, args, expected = OTHERS[name]
    consts = " ".join(f"({k}.const {v})" for k, v in zip(params.split(), args, strict=True))
    library = module_library(
        f"""(import "{WASI}" "{name}" (func $f (param {params}) (result i32)))
        (memory (export "memory") 1) {data_at(16, b"x" * 16)}
        (func (export "call") (result i32) (call $f {consts}))
        (func (export "word") (param i32) (result i32) (i32.load (local.get 0)))"""
    )
    unit = """(import "lib" "call" (func $call (result i32)))
      (import "lib" "word" (func $word (param i32) (result i32)))
      (func (export "call") (result i32) (call $call))
      (func (export "word") (param i32) (result i32) (call $word (local.get 0)))"""
    linked = Linked(unit, library)
    assert linked.call("call") == expected
    if name.endswith("sizes_get"):
        assert (linked.call("word", 16), linked.call("word", 24)) == (0, 0)


def test_clock_and_random_numbers_are_the_same_in_every_run() -> None:
    library = module_library(
        f"""(import "{WASI}" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
        (import "{WASI}" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "time") (result i64)
          (drop (call $now (i32.const 1) (i64.const 1) (i32.const 8))) (i64.load (i32.const 8)))
        (func (export "random") (result i64)
          (drop (call $random (i32.const 16) (i32.const 8))) (i64.load (i32.const 16)))"""
    )
    unit = """(import "lib" "time" (func $time (result i64)))
      (import "lib" "random" (func $random (result i64)))
      (func (export "time") (result i64) (call $time))
      (func (export "random") (result i64) (call $random))"""
    runs = []
    for _ in range(2):
        linked = Linked(unit, library)
        runs.append([linked.call(name) for name in ("time", "time", "random", "random")])
    assert runs[0] == runs[1]
    assert runs[0][:2] == [0, 1_000_000]
    assert runs[0][2] != runs[0][3] != 0


def test_a_library_is_initialised_once_before_the_unit_starts() -> None:
    library = module_library(
        f"""(import "{WASI}" "proc_exit" (func $exit (param i32)))
        (global $n (mut i32) (i32.const 1)) (start $first)
        (func $first (global.set $n (i32.add (global.get $n) (i32.const 10))))
        (func (export "_initialize") (global.set $n (i32.mul (global.get $n) (i32.const 2))))
        (func (export "get") (result i32) (global.get $n))
        (func (export "leave") (call $exit (i32.const 0)))"""
    )
    unit = """
      (import "lib" "get" (func $get (result i32)))
      (import "lib" "leave" (func $leave))
      (global $seen (mut i32) (i32.const 0)) (start $start)
      (func $start (global.set $seen (call $get)))
      (func (export "seen") (result i32) (global.get $seen))
      (func (export "leave") (call $leave))"""
    linked = Linked(unit, library)
    assert linked.call("seen") == 22
    with pytest.raises(Trap, match="unreachable"):
        linked.call("leave")


def test_the_real_runtime_takes_the_text() -> None:
    library = module_library(WRITER + data_at(100, b"text"))
    linked = Linked(SAY, library, state=real_state())
    assert linked.call("say", 1, 100, 4) == 4
    memory = linked.exports["memory"]
    assert isinstance(memory, Memory)
    assert b"text" in bytes(memory.read(linked.store, 49152, 49152 + 64))  # TEXT of state.c


def test_a_component_cannot_go_into_a_plain_module() -> None:
    library = component_library(
        """(core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $m (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $m "f")))"""
    )
    with pytest.raises(WeaveError, match="library lib is a component, which a plain core module"):
        parts(library)


# --- the example ----------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs ziglang")
def test_the_cache_simulator_counts_lines() -> None:
    library = load_library("cache", build("cache_sim"), "cache.wasm")
    assert library.signature.functions == {
        "check_access": LibFunction((I32, I32), I32),
        "hits": LibFunction((), I64),
        "misses": LibFunction((), I64),
        "hit_rate": LibFunction((), F64),
        "holds": LibFunction((I32,), I32),
        "reset": LibFunction((), UNIT),
    }
    assert not library.imports
    scripts = load([("docs", shown_scripts()[0])], {"cache": library.signature})
    assert scripts.libraries == ("cache",) and scripts.probes
    unit = """(import "cache" "check_access" (func $check (param i32 i32) (result i32)))
      (import "cache" "hits" (func $hits (result i64)))
      (func (export "check") (param i32 i32) (result i32)
        (call $check (local.get 0) (local.get 1)))
      (func (export "hits") (result i64) (call $hits))"""
    linked = Linked(unit, library)
    assert linked.call("check", 60, 8) == 2  # two lines, neither there
    assert linked.call("check", 60, 8) == 2 << 16
    assert linked.call("check", 64, 4) == 1 << 16
    for way in range(1, 9):  # eight more lines of set 0: the first goes
        assert linked.call("check", way * 64 * 64, 1) == 1
    assert linked.call("check", 0, 1) == 1
    assert linked.call("check", 8 * 64 * 64, 1) == 1 << 16
    assert linked.call("hits") == 4
