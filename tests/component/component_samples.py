"""Components for the tests, by what they exercise.

``TEXT`` is assembled by wasmtime's text parser.  ``BYTES`` holds what that parser cannot write:
gated productions, attributes, wasteful encodings.  Together they hold every production of
Binary.md; ``test_roundtrip`` checks that they do.
"""

from __future__ import annotations

from functools import cache

import wasmtime

from whamm_cm.wasm.leb import unsigned

_LIBC = """(core module $Libc
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "run") (param i32 i32) (result i32) i32.const 0)
    (func (export "nothing")) (func (export "number") (result i32) i32.const 7)
    (func (export "free") (param i32)) (func (export "callback") (param i32 i32 i32) (result i32)
        i32.const 0)
    (memory (export "memory") 1) (table (export "table") 2 funcref)
    (global (export "global") i32 (i32.const 1)) (tag (export "tag")))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "realloc" (core func $realloc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "table" (core table $table))
"""

_SPAWN_TYPE = "(core type $start (func (param i32)))"

TEXT = {
    "empty": "(component)",
    "value types": """(component
        (type bool) (type s8) (type u8) (type s16) (type u16) (type s32) (type u32) (type s64)
        (type u64) (type f32) (type f64) (type char) (type $string string)
        (type $record (record (field "a" u8) (field "b" $string)))
        (type (variant (case "none") (case "some" $record)))
        (type (list $record)) (type (map string $record))
        (type (tuple u8 $record)) (type (flags "a" "b")) (type (enum "x" "y"))
        (type (option $record)) (type (result)) (type (result u8)) (type (result (error $record)))
        (type (result $record (error string)))
        (type $resource (resource (rep i32))) (type (own $resource)) (type (borrow $resource))
        (type (stream)) (type (stream $record)) (type (future)) (type (future u8))
        (type (func)) (type (func (param "p" $record) (result u8)))
        (type (func async (param "p" u8) (param "q" $string) (result $record))))""",
    "fixed lists": "(component (type $t (list u8 16)) (type (list $t 3)))",
    "many types": "(component "
    + " ".join(f'(type $t{i} (record (field "f" u8)))' for i in range(140))
    + "(type (tuple $t0 $t63 $t64 $t127 $t128 $t139)))",
    "resources": f"""(component {_LIBC}
        (alias core export $libc "free" (core func $free))
        (type $plain (resource (rep i32))) (type $dropped (resource (rep i32) (dtor (func $free))))
        (core func $new (canon resource.new $dropped)) (core func (canon resource.drop $dropped))
        (core func $rep (canon resource.rep $dropped))
        (export $p "plain" (type $plain)) (export "dropped" (type $dropped))
        (func (export "[constructor]plain") (result (own $p))
            (canon lift (core func $libc "number"))))""",
    "component types": """(component
        (import "c" (component $C
            (type $u (list u8))
            (import "in" (func (param "p" $u))) (import "m" (core module (export "f" (func))))
            (import "i" (instance $i (export "r" (type (sub resource)))))
            (alias export $i "r" (type $r)) (export "own" (type (eq $r)))
            (export "out" (instance (export "f" (func (result u8)))))
            (export "deep" (component (export "deeper" (instance
                (export "t" (type (sub resource)))))))))
        (import "i" (instance
            (type $local (record (field "x" u8))) (export "x" (type $x (eq $local)))
            (export "r" (type $r (sub resource))) (export "[method]r.m" (func
                (param "self" (borrow $r)) (param "x" $x)))))
        )""",
    "outer aliases": """(component $outer
        (type $rec (record (field "a" u32))) (core type $cf (func (param i32)))
        (core module $M (func (export "f"))) (component $K)
        (component $mid
            (alias outer $outer $rec (type $r)) (alias outer $outer $cf (core type $t))
            (alias outer $outer $M (core module $m)) (alias outer $outer $K (component $k))
            (core instance (instantiate $m)) (instance (instantiate $k))
            (component $in
                (alias outer $outer $rec (type $far)) (alias outer $mid $r (type $near))
                (type (tuple $far $near))
                (type (instance (alias outer $outer $rec (type $t))
                    (alias outer $in $far (type $u)) (export "t" (type (eq $t)))
                    (type (component (alias outer $outer $rec (type $t2))
                        (core type (module (alias outer $outer $cf (type $c))
                            (import "a" "b" (func (type $c)))))
                        (export "t" (type (eq $t2)))))))))
        (type (instance (alias outer $outer $rec (type $t)) (export "t" (type (eq $t)))
            (export "m" (core module (export "f" (func)))))))""",
    "core types": """(component
        (core type (func (param i32 i64 f32 f64 v128 funcref externref) (result (ref func))))
        (core type $s (struct (field i8) (field (mut i16)) (field (mut anyref)) (field i31ref)))
        (core type $a (array (mut (ref null $s)))) (core type (array (ref $s)))
        (core rec (type $x (struct (field (ref null $y)))) (type $y (struct (field (ref $x)))))
        (core type $open (sub (struct (field i32))))
        (core type $more (sub $open (struct (field i32) (field eqref))))
        (core type (sub final $more (struct (field i32) (field eqref))))
        (core type (func (param (ref null exn) (ref null any) (ref none) (ref extern)))))""",
    "continuations": """(component (core type $f (func)) (core type $c (cont $f))
        (core type (func (param (ref null $c) (ref cont) nullcontref))))""",
    "module types": """(component
        (core type $outer (func (param i32)))
        (core type (module
            (type $f (func (param i32) (result i64))) (type $s (sub (struct (field (ref $f)))))
            (type (sub $s (struct (field (ref $f)))))
            (rec (type $x (array (ref null $y))) (type $y (array (ref null $x))))
            (alias outer 1 $outer (type $o))
            (import "m" "func" (func (type $f))) (import "m" "outer" (func (type $o)))
            (import "m" "table" (table 1 10 funcref)) (import "m" "table64" (table i64 1 externref))
            (import "m" "typed" (table 1 (ref null 1)))
            (import "m" "memory" (memory 1)) (import "m" "shared" (memory 1 4 shared))
            (import "m" "memory64" (memory i64 1 100000000000)) (import "m" "small" (memory 3
                (pagesize 1)))
            (import "m" "global" (global i32)) (import "m" "mutable" (global (mut (ref null 1))))
            (import "m" "tag" (tag (type $o)))
            (export "f" (func (type $f))) (export "mem" (memory 1)) (export "t" (tag (type $o)))))
        (import "module" (core module (import "a" "b" (memory 1)) (export "c" (global f32)))))""",
    "core instances": f"""(component {_LIBC}
        (alias core export $libc "global" (core global $global))
        (alias core export $libc "tag" (core tag $tag))
        (core module $User (import "libc" "memory" (memory 1)) (import "libc" "f" (func))
            (import "libc" "t" (table 0 funcref)) (import "libc" "g" (global i32))
            (import "libc" "tag" (tag)) (import "other" "run" (func (param i32 i32) (result i32))))
        (core instance $all (export "memory" (memory $memory)) (export "f" (func $libc "nothing"))
            (export "t" (table $table)) (export "g" (global $global)) (export "tag" (tag $tag)))
        (core instance (instantiate $User (with "libc" (instance $all))
            (with "other" (instance $libc))))
        (core instance))""",
    "instances": """(component
        (import "f" (func $f)) (import "m" (core module $m (export "x" (func))))
        (import "i" (instance $i (export "g" (func)) (export "r" (type (sub resource)))
            (export "c" (component)) (export "in" (instance (export "m" (core module))))))
        (import "k" (component $k (export "e" (func))))
        (import "t" (type $t (sub resource))) (import "same" (type (eq $t)))
        (component $taker (import "f" (func)) (import "m" (core module)) (import "i" (instance))
            (import "k" (component)) (import "t" (type (sub resource))))
        (instance $k1 (instantiate $k))
        (instance $bag (export "f" (func $i "g")) (export "m" (core module $m))
            (export "i" (instance $k1)) (export "k" (component $k)) (export "t" (type $t)))
        (instance $taken (instantiate $taker (with "f" (func $k1 "e")) (with "m" (core module $m))
            (with "i" (instance $bag)) (with "k" (component $k)) (with "t" (type $t))))
        (instance)
        (alias export $i "in" (instance $in)) (alias export $in "m" (core module $inner))
        (alias export $i "c" (component $c)) (alias export $i "r" (type $r))
        (export "out-f" (func $f)) (export "out-m" (core module $inner)) (export "out-i" (instance
            $taken)) (export $kk "out-k" (component $k)) (export "out-c" (component $c))
        (export "again" (component $kk))
        (export "typed" (func $f) (func))
        (export "narrow" (instance $bag) (instance (export "f" (func)))))""",
    "lift and lower": f"""(component {_LIBC}
        (import "log" (func $log (param "text" string)))
        (import "later" (func $later async (param "text" string) (result string)))
        (core func (canon lower (func $log) (memory $memory)))
        (core func (canon lower (func $log) (memory $memory) string-encoding=utf16))
        (core func (canon lower (func $later) async (memory $memory) (realloc $realloc)
            string-encoding=latin1+utf16))
        (core func (canon lower (func $log) string-encoding=utf8 (memory $memory)))
        (func $up (param "text" string) (result string)
            (canon lift (core func $libc "run") (memory $memory) (realloc $realloc)
                (post-return (func $libc "free"))))
        (func $start async (param "a" u32) (param "b" u32)
            (canon lift (core func $libc "run") async (callback (func $libc "callback"))))
        (export "up" (func $up)) (export "start" (func $start)))""",
    "tasks": f"""(component {_LIBC}
        (core func (canon backpressure.inc)) (core func (canon backpressure.dec))
        (core func (canon task.return)) (core func (canon task.return (result u8)))
        (type $r (record (field "x" string)))
        (core func (canon task.return (result $r) (memory $memory)))
        (core func (canon task.cancel)) (core func (canon subtask.drop))
        (core func (canon subtask.cancel)) (core func (canon subtask.cancel async))
        (core func (canon context.get i32 0)) (core func (canon context.set i32 0))
        (core func (canon waitable-set.new)) (core func (canon waitable-set.drop))
        (core func (canon waitable-set.wait (memory $memory)))
        (core func (canon waitable-set.poll (memory $memory)))
        (core func (canon waitable.join)) (core func (canon thread.yield)))""",
    "streams and futures": f"""(component {_LIBC}
        (type $s (stream u8)) (type $f (future string))
        (core func (canon stream.new $s)) (core func (canon future.new $f))
        (core func (canon stream.read $s (memory $memory)))
        (core func (canon stream.write $s async (memory $memory)))
        (core func (canon stream.cancel-read $s)) (core func (canon stream.cancel-write $s async))
        (core func (canon stream.drop-readable $s)) (core func (canon stream.drop-writable $s))
        (core func (canon future.read $f async (memory $memory) (realloc $realloc)))
        (core func (canon future.write $f (memory $memory)))
        (core func (canon future.cancel-read $f async)) (core func (canon future.cancel-write $f))
        (core func (canon future.drop-readable $f)) (core func (canon future.drop-writable $f)))""",
    "error contexts": f"""(component {_LIBC} (type error-context)
        (core func (canon error-context.new (memory $memory)))
        (core func (canon error-context.debug-message (memory $memory) (realloc $realloc)))
        (core func (canon error-context.drop)))""",
    "threads": f"""(component {_LIBC} {_SPAWN_TYPE}
        (core func (canon thread.index))
        (core func (canon thread.new-indirect $start (table $table)))
        (core func (canon thread.suspend)))""",
    "spawned threads": f"""(component {_LIBC}
        (core type $start (shared (func (param i32))))
        (core func (canon thread.spawn-ref $start))
        (core func (canon thread.spawn-indirect $start (table $table)))
        (core func (canon thread.available_parallelism)) (core func (canon thread.yield)))""",
    "gc options": """(component
        (core type $t (func (param i32))) (import "f" (func $f (param "p" u32)))
        (core func (canon lower (func $f) (core-type $t) gc)))""",
    "names": """(component $named
        (type $first u8) (type u16) (type $third (list $first))
        (core module $M (func $inside (export "f"))) (core instance $i (instantiate $M))
        (alias core export $i "f" (core func $f)) (func $lifted (canon lift (core func $f)))
        (component $nested (type $deep u8)) (instance $n (instantiate $nested))
        (export $again "run" (func $lifted)))""",
    "custom sections": """(component (@custom "first" "\\00\\ff") (type u8)
        (@custom "producers" "\\00") (component (@custom "inner" "x")) (@custom "first" ""))""",
    "interleaved": """(component (type $a u8) (import "f" (func $f)) (type $b (list $a))
        (import "g" (func (param "p" $b))) (component) (type (list $b)) (component) (core module)
        (export "h" (func $f)) (core module) (type u8))""",
}


def name(text: str) -> bytes:
    return unsigned(len(text.encode())) + text.encode()


def section(number: int, *entries: bytes, counted: bool = True) -> bytes:
    """A section with a vector of ``entries`` (or, not ``counted``, just them)."""
    payload = (unsigned(len(entries)) if counted else b"") + b"".join(entries)
    return bytes((number,)) + unsigned(len(payload)) + payload


PREAMBLE = b"\0asm\x0d\0\x01\0"
_FUNC_TYPE = section(7, b"\x40\x00\x01\x00")
_NAMES = name("component-name")
_EMPTY_MODULE = section(1, b"\0asm\x01\0\0\0", counted=False)


def attributed(text: str, *attributes: bytes) -> bytes:
    return b"\x02" + name(text) + unsigned(len(attributes)) + b"".join(attributes)


def plain(text: str) -> bytes:
    return b"\x00" + name(text)


#: Sections that follow the preamble.
BYTES = {
    "empty sections": b"".join(section(number) for number in (2, 3, 5, 6, 7, 8, 10, 11, 12)),
    "old name form": _FUNC_TYPE + section(10, b"\x01" + name("f") + b"\x01\x00"),
    "attributes": section(7, b"\x42\x00")
    + section(
        10,
        attributed("kv", b"\x00" + name("wasi:keyvalue/store")) + b"\x05\x00",
        attributed("a:b/c@1", b"\x01" + name(".2.3")) + b"\x05\x00",
        attributed("ext", b"\x02" + name("é"), b"\x00" + name("a:b/d")) + b"\x05\x00",
        attributed("none") + b"\x05\x00",
    )
    + section(11, attributed("out", b"\x02" + name("x")) + b"\x05\x00\x00")
    + section(5, b"\x01\x01" + attributed("in", b"\x02" + name("y")) + b"\x05\x00"),
    "values and start": section(7, b"\x40\x01" + name("p") + b"\x7d\x00\x7d")
    + section(7, b"\x72\x01" + name("f") + b"\x7d", b"\x40\x00\x01\x00")
    + section(10, plain("f") + b"\x01\x00", plain("g") + b"\x01\x02")
    + section(10, plain("v") + b"\x02\x01\x7d", plain("same") + b"\x02\x00\x00")
    + section(12, b"\x7d\x01\x2a", b"\x73\x03" + name("hi"), b"\x01\x01\x07")
    + section(9, b"\x00\x01\x02\x01", counted=False)  # the result is value 5
    + section(9, b"\x01\x00\x00", counted=False)
    + section(11, plain("out") + b"\x02\x05\x00", plain("typed") + b"\x02\x03\x01\x02\x01\x73")
    + section(7, b"\x42\x01\x04" + plain("v") + b"\x02\x01\x73")
    + section(10, plain("i") + b"\x05\x03")
    + section(6, b"\x02\x00\x00" + name("v"))
    + section(5, b"\x01\x01" + plain("v") + b"\x02\x00"),
    "values as toolchains write them": section(7, b"\x73", b"\x72\x01" + name("f") + b"\x7d")
    + section(10, plain("a") + b"\x02\x00", plain("b") + b"\x02\x01", plain("c") + b"\x02\x7d")
    + section(7, b"\x42\x01\x04" + plain("v") + b"\x02\x73"),
    "over-long integers": b"".join(
        (
            b"\x07\x84\x80\x00",  # the size, in three bytes
            b"\x82\x00\x7d\x7c",  # the count, in two
            section(7, b"\x70\x80\x80\x00", b"\x3f\x7f\x00", b"\x69\x83\x80\x80\x80\x00"),
            section(3, b"\x5f\x80\x00", b"\x5e\x63\x80\x80\x80\x80\x00\x00"),
            section(10, b"\x00\x82\x00fn\x03\x00\x81\x80\x00"),
            b"\x00\x82\x80\x80\x80\x00\x01x",
            b"\x01\x88\x80\x80\x00\0asm\x01\0\0\0",
            b"\x04\x8d\x00" + PREAMBLE + b"\x07\x82\x00\x80\x00",
            section(6, b"\x03\x02\x80\x00\x81\x00"),
        )
    ),
    "resources": section(
        7, b"\x3f\x7f\x00", b"\x3f\x7e\x00", b"\x69\x00", b"\x68\x01", b"\x41\x00"
    ),
    "thread built-ins": section(
        8,
        *(b"\x28", b"\x2a\x00", b"\x2a\x01", b"\x2b\x01", b"\x2c\x00", b"\x2d\x01", b"\x29\x01"),
        *(b"\x0a\x7f\x80\x01", b"\x0b\x7e\x00"),
    ),
    "shared immediates": section(3, b"\x60\x01\x7f\x00", b"\x60\x00\x00")
    + section(8, b"\x40\x01\x01", b"\x42\x01", b"\x40\x00\x00", b"\x1f"),
    "core types not in text": section(
        3,
        b"\x65\x5f\x00",  # a shared struct
        b"\x65\x60\x01\x65\x6e\x01\x64\x65\x70",  # a shared function of shared references
        b"\x4e\x00",  # a group of no types
        b"\x4e\x02\x4d\x03\x5f\x00\x4c\x02\x5f\x00",  # a type and its custom descriptor
        b"\x00\x50\x00\x5f\x01\x64\x62\x03\x01",  # a marked sub type with an exact reference
        # a module type with a marked sub type, an exact import and a mutable shared global
        b"\x50\x04\x01\x00\x50\x00\x5f\x00\x01\x60\x00\x00"
        + b"\x00\x01m\x01f\x20\x01\x03\x01g\x03\x7f\x03",
    ),
    # wasmtime's text parser finds duplicate identifiers in any core type that stands in a type
    "core types in types": section(
        7,
        b"\x41\x03\x00\x60\x00\x00\x00\x50\x01\x02\x10\x01\x01\x00"
        + b"\x03"
        + plain("m")
        + b"\x00\x11\x01",
        b"\x42\x02\x00\x00\x50\x00\x5f\x00\x00\x4e\x01\x5e\x63\x01\x00",
    ),
    "name section first": section(
        0, _NAMES + b"\x01\x0b\x03\x02\x00" + name("zero") + b"\x01" + name("x"), counted=False
    )
    + section(7, b"\x7d", b"\x7c"),
    "odd name sections": section(7, b"\x7d")
    # the component's name, a subsection nobody knows, a name for a type that does not exist
    + section(0, _NAMES + b"\x00\x02\x01c\x07\x02??\x01\x05\x03\x01\x63\x01z", counted=False)
    + section(0, _NAMES + b"\x01\x7f", counted=False)  # malformed
    + section(0, _NAMES, counted=False),
}


@cache
def sample(which: str) -> bytes:
    if which in TEXT:
        return bytes(wasmtime.wat2wasm(TEXT[which]))
    return PREAMBLE + BYTES[which]


SAMPLES = (*TEXT, *BYTES)
