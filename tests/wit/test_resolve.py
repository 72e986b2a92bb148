"""What the items of a component are."""

from __future__ import annotations

import pytest

from tests.wit.support import canons, resolve_text, show
from whamm_cm.component.items import Sort
from whamm_cm.wit import types as t
from whamm_cm.wit.model import InstanceItem, TypeItem, functions, interface_of, interfaces

STREAMS = """
  (import "wasi:io/poll@0.2.3" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $p (eq $outer)))
    (export "output-stream" (type $o (sub resource)))
    (type $reason' (record (field "code" u32)))
    (export "reason" (type $reason (eq $reason')))
    (export "sink" (type $sink (eq $o)))
    (export "[constructor]output-stream" (func (result (own $o))))
    (export "[static]output-stream.all" (func (result (list (own $sink)))))
    (export "[method]output-stream.write"
      (func (param "self" (borrow $o)) (param "data" (list u8))
        (result (result (error $reason)))))
    (export "[method]output-stream.subscribe"
      (func (param "self" (borrow $o)) (result (own $p))))))
"""


def test_types_and_functions_of_imported_instances() -> None:
    resolved = resolve_text(f"(component {STREAMS})")
    poll, streams = (e.entity for e in resolved.world.imports)
    assert isinstance(streams, InstanceItem)
    assert isinstance(poll, InstanceItem)
    assert {name: show(e) for name, e in streams.exports.items()} == {
        "pollable": "resource wasi:io/poll@0.2.3#pollable",
        "output-stream": "resource wasi:io/streams@0.2.3#output-stream",
        "reason": "wasi:io/streams@0.2.3#reason = {code: u32}",
        "sink": "resource wasi:io/streams@0.2.3#output-stream",
        "[constructor]output-stream": "func() -> output-stream",
        "[static]output-stream.all": "func() -> list<output-stream>",
        "[method]output-stream.write":
            "func(self: borrow<output-stream>, data: list<u8>) -> result<_, reason>",
        "[method]output-stream.subscribe": "func(self: borrow<output-stream>) -> pollable",
    }  # fmt: skip
    assert [f.label for f in functions(streams)] == [
        "output-stream.new", "output-stream.all", "output-stream.write", "output-stream.subscribe",
    ]  # fmt: skip
    theirs, ours = streams.exports["pollable"], poll.exports["pollable"]
    assert isinstance(theirs, TypeItem)
    assert isinstance(ours, TypeItem)
    assert theirs.type is ours.type


def test_interface_view() -> None:
    resolved = resolve_text(f"(component {STREAMS})")
    poll, streams = interfaces(resolved.world.imports)
    assert (poll.name, poll.version, list(poll.resources)) == (
        "wasi:io/poll",
        "0.2.3",
        ["pollable"],
    )
    assert list(streams.types) == ["reason"]
    assert list(streams.funcs)[0] == "[constructor]output-stream"
    assert interface_of(resolved.world.imports[0]) == poll


LOWERS = f"""(component {STREAMS}
  (import "log" (func $log (param "m" u32)))
  (import "plain" (instance $plain (export "f" (func))))
  (core func (canon lower (func $poll "[method]pollable.block")))
  (alias export $streams "output-stream" (type $o))
  (core func (canon resource.drop $o))
  (core func (canon resource.drop $pollable))
  (core func (canon lower (func $log)))
  (core func (canon lower (func $plain "f")))
  (type $mine (resource (rep i32)))
  (core func (canon resource.new $mine))
  (core func (canon resource.rep $mine))
  (core func (canon resource.drop $mine))
  (export "thing" (type $mine))
)"""


def test_lowers_and_resource_builtins() -> None:
    assert canons(resolve_text(LOWERS)) == [
        "root lower import wasi:io/poll@0.2.3#pollable.block",
        "root resource.drop import wasi:io/streams@0.2.3#output-stream.drop",
        "root resource.drop import wasi:io/poll@0.2.3#pollable.drop",
        "root lower import #log",
        "root lower import plain#f",
        "root resource.new builtin #[resource-new]thing",
        "root resource.rep builtin #[resource-rep]thing",
        "root resource.drop builtin #thing.drop",
    ]


def test_types_of_other_builtins() -> None:
    resolved = resolve_text("""(component
      (core module $m (memory (export "mem") 1))
      (core instance $i (instantiate $m))
      (type $s (stream u8))
      (type $f (future string))
      (core func (canon stream.new $s))
      (core func (canon future.write $f async (memory $i "mem")))
      (core func (canon task.return (result string) (memory $i "mem")))
      (core func (canon waitable-set.new))
      (core func (canon task.cancel)))""")
    infos = list(resolved.canons.values())
    assert [i.label for i in infos] == [
        "stream.new", "future.write", "task.return", "waitable-set.new", "task.cancel",
    ]  # fmt: skip
    stream, future, returned = infos[0].type, infos[1].type, infos[2].result
    assert isinstance(stream, t.StreamT)
    assert isinstance(future, t.FutureT)
    assert isinstance(returned, t.Prim)
    assert {i.edge for i in infos} == {"builtin"}


#: The way wit-component exports an interface with a resource and a record.
EXPORTS = """(component
  (import "wasi:io/error@0.2.0" (instance $err (export "error" (type (sub resource)))))
  (alias export $err "error" (type $error))
  (core module $m
    (func (export "make") (result i32) unreachable)
    (func (export "get") (param i32) (result i32) unreachable))
  (core instance $i (instantiate $m))
  (type $counter (resource (rep i32)))
  (type $point (record (field "x" u32)))
  (core func $drop (canon resource.drop $counter))
  (func $make (result (own $counter)) (canon lift (core func $i "make")))
  (type $point' (record (field "x" u32)))
  (type $get-type (func (param "self" (borrow $counter)) (result $point')))
  (func $get (type $get-type) (canon lift (core func $i "get")))
  (component $shim
    (import "import-type-error" (type $e (sub resource)))
    (import "import-type-counter" (type $c (sub resource)))
    (type $p' (record (field "x" u32)))
    (import "import-type-point" (type $p (eq $p')))
    (import "make" (func $make (result (own $c))))
    (import "get" (func $get (param "self" (borrow $c)) (result $p)))
    (export "error" (type $e))
    (export $c2 "counter" (type $c))
    (export $p2 "point" (type $p))
    (export "[constructor]counter" (func $make) (func (result (own $c2))))
    (export "[method]counter.get" (func $get) (func (param "self" (borrow $c2)) (result $p2))))
  (instance $api (instantiate $shim
    (with "import-type-error" (type $error))
    (with "import-type-counter" (type $counter))
    (with "import-type-point" (type $point))
    (with "make" (func $make))
    (with "get" (func $get))))
  (export "my:app/api@1.0.0" (instance $api))
)"""


def test_exported_interface_through_a_shim_component() -> None:
    resolved = resolve_text(EXPORTS)
    exported = resolved.world.exported("my:app/api@1.0.0")
    assert isinstance(exported, InstanceItem)
    assert {name: show(e) for name, e in exported.exports.items()} == {
        "error": "resource wasi:io/error@0.2.0#error",
        "counter": "resource my:app/api@1.0.0#counter",
        "point": "my:app/api@1.0.0#point = {x: u32}",
        "[constructor]counter": "func() -> counter",
        "[method]counter.get": "func(self: borrow<counter>) -> point",
    }
    assert canons(resolved) == [
        "root resource.drop builtin my:app/api@1.0.0#counter.drop",
        "root lift export my:app/api@1.0.0#counter.new",
        "root lift export my:app/api@1.0.0#counter.get",
    ]
    lifts = [i for i in resolved.canons.values() if i.op == "lift"]
    lifted = lifts[0].func
    assert lifted is not None
    assert isinstance(lifted.result, t.Own)
    counter = exported.exports["counter"]
    assert isinstance(counter, TypeItem)
    assert lifted.result.resource is counter.type


#: A root that links two components: front calls back, back calls the outside.
LINKED = """(component
  (import "wasi:log/log@0.1.0" (instance $log (export "write" (func))))
  (component $back
    (import "wasi:log/log@0.1.0" (instance $log (export "write" (func))))
    (core func $w (canon lower (func $log "write")))
    (core module $m (func (export "f")) (func (export "g")))
    (core instance $i (instantiate $m))
    (type $r (resource (rep i32)))
    (func $f (canon lift (core func $i "f")))
    (func $g (canon lift (core func $i "g")))
    (export $r2 "r" (type $r))
    (instance $api (export "do" (func $f)) (export "r" (type $r2)))
    (export "my:app/back@1.2.3" (instance $api))
    (export "extra" (func $g)))
  (component $front
    (import "my:app/back@1.2.3" (instance $b
      (export "do" (func)) (export "r" (type (sub resource)))))
    (alias export $b "r" (type $r))
    (core func $c (canon lower (func $b "do")))
    (core func $d (canon resource.drop $r))
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func $f (canon lift (core func $i "f")))
    (export "run" (func $f)))
  (instance $b (instantiate $back (with "wasi:log/log@0.1.0" (instance $log))))
  (instance $f (instantiate $front
    (with "my:app/back@1.2.3" (instance $b "my:app/back@1.2.3"))))
  (core func (canon lower (func $b "extra")))
  (core func (canon lower (func $b "my:app/back@1.2.3" "do")))
  (export "run" (func $f "run"))
)"""


def test_edges_between_components() -> None:
    assert canons(resolve_text(LINKED)) == [
        "component[0] lower import wasi:log/log@0.1.0#write",
        "component[0] lift inner my:app/back@1.2.3#do",
        "component[0] lift inner #extra",
        "component[1] lower inner my:app/back@1.2.3#do -> component[0]",
        "component[1] resource.drop inner my:app/back@1.2.3#r.drop",
        "component[1] lift export #run",
        "root lower inner #extra -> component[0]",
        "root lower inner my:app/back@1.2.3#do -> component[0]",
    ]


def test_component_names_come_from_name_sections() -> None:
    resolved = resolve_text(LINKED)
    assert [c.name for c in resolved.components] == [None, "back", "front"]
    back = resolved.components[1]
    assert resolved.component(back.component) is back
    assert [e.name.name for e in back.world.imports] == ["wasi:log/log@0.1.0"]
    with pytest.raises(KeyError):
        resolved.component(resolve_text("(component)").root)


def test_provenance() -> None:
    resolved = resolve_text(LINKED)
    root = resolved.root
    found = []
    for definition in root.definitions:
        for item in definition.items:
            if item.sort is Sort.FUNC:
                provenance = resolved.provenance(root, item)
                found.append((provenance.kind, provenance.names))
                assert root.defines(provenance.item)
    assert found == [
        ("instance", ("extra",)),
        ("instance", ("my:app/back@1.2.3", "do")),
        ("instance", ("run",)),
        ("instance", ("run",)),
    ]
    nested = resolved.components[1].component
    (lowered,) = [i for i in resolved.canons.values() if i.component is nested and i.op == "lower"]
    assert lowered.canon.func is not None
    source = resolved.provenance(nested, lowered.canon.func)
    assert (source.kind, source.names) == ("import", ("wasi:log/log@0.1.0", "write"))
    lifted = [d.item for d in nested.definitions if d.items and d.item.sort is Sort.FUNC]
    assert resolved.provenance(nested, lifted[-1]).kind == "definition"


def test_provenance_looks_through_inline_instances() -> None:
    resolved = resolve_text("""(component
      (import "f" (func $f))
      (instance $i (export "g" (func $f)))
      (instance $j (export "k" (instance $i)))
      (alias export $j "k" (instance $k))
      (alias export $k "g" (func $g))
      (export "h" (func $g)))""")
    last = resolved.root.definitions
    exported = [d.item for d in last if d.items and d.item.sort is Sort.FUNC][-1]
    source = resolved.provenance(resolved.root, exported)
    assert (source.kind, source.names) == ("import", ("f",))
    assert resolved.func(exported).name == "h"
    with pytest.raises(KeyError):
        resolved.func(next(d.item for d in last if d.items and d.item.sort is Sort.INSTANCE))


def test_each_instantiation_has_its_own_resources() -> None:
    resolved = resolve_text("""(component
      (component $c
        (import "given" (type $g (sub resource)))
        (type $r (resource (rep i32)))
        (export "r" (type $r))
        (export "same" (type $g)))
      (type $mine (resource (rep i32)))
      (instance $a (instantiate $c (with "given" (type $mine))))
      (instance $b (instantiate $c (with "given" (type $mine))))
      (alias export $a "r" (type $ar)) (alias export $b "r" (type $br))
      (alias export $a "same" (type $as)) (alias export $b "same" (type $bs))
      (export "ar" (type $ar)) (export "br" (type $br))
      (export "as" (type $as)) (export "bs" (type $bs))
      (core func (canon resource.drop $br)))""")
    made = [e.entity.type for e in resolved.world.exports if isinstance(e.entity, TypeItem)]
    assert made[0] is not made[1]
    assert made[2] is made[3]
    assert canons(resolved) == ["root resource.drop inner #r.drop"]


def test_each_use_of_an_instance_type_has_its_own_resources() -> None:
    resolved = resolve_text("""(component
      (type $t (instance (export "r" (type (sub resource)))))
      (import "a:b/one" (instance (type $t)))
      (import "a:b/two" (instance (type $t))))""")
    one, two = interfaces(resolved.world.imports)
    assert one.resources["r"] is not two.resources["r"]
    assert [one.resources["r"].owner, two.resources["r"].owner] == ["a:b/one", "a:b/two"]


def test_outer_aliases_of_any_depth() -> None:
    resolved = resolve_text("""(component
      (type $t (record (field "a" u8)))
      (component $leaf (export "t" (type $t)))
      (component
        (component
          (component
            (instance $l (instantiate $leaf))
            (alias export $l "t" (type $lt))
            (type $inner (instance
              (type (component
                (type (instance
                  (alias outer 6 $t (type $mine))
                  (export "u" (type (eq $mine)))))
                (export "i" (instance (type 0)))))))
            (type $f (func (param "p" $t) (param "q" $lt)))
            (import "f" (func (type $f)))))))""")
    func = resolved.components[-1].world.imported("f")
    assert show(func) == "func(p: record, q: t)"


def test_ascribed_types_keep_identities() -> None:
    resolved = resolve_text("""(component
      (import "f" (func $f (result u32)))
      (type $r (resource (rep i32)))
      (instance $i (export "r" (type $r)) (export "f" (func $f)))
      (type $it (instance (export "r" (type (sub resource)))))
      (export "a:b/c" (instance $i) (instance (type $it)))
      (core func (canon resource.new $r)))""")
    exported = resolved.world.exported("a:b/c")
    assert isinstance(exported, InstanceItem)
    assert list(exported.exports) == ["r"]
    assert canons(resolved) == ["root resource.new builtin a:b/c#[resource-new]r"]


def test_imported_components() -> None:
    resolved = resolve_text("""(component
      (import "c" (component $c
        (import "n" (type $n (sub resource)))
        (export "a:b/c" (instance
          (alias outer 1 $n (type $m))
          (export "n" (type $k (eq $m)))
          (export "f" (func (param "n" (borrow $k))))))))
      (import "my:own/types" (instance $t (export "n" (type (sub resource)))))
      (instance $i (instantiate $c (with "n" (type $t "n"))))
      (core func (canon lower (func $i "a:b/c" "f"))))""")
    assert canons(resolved) == ["root lower import a:b/c#f"]
    (info,) = resolved.canons.values()
    assert info.func is not None
    borrowed = info.func.params[0][1]
    assert isinstance(borrowed, t.Borrow)
    assert borrowed.resource.owner == "my:own/types"


def test_implements_says_which_interface() -> None:
    resolved = resolve_text("""(component
      (import "primary" (implements "wasi:keyvalue/store@0.2.0") (instance $i
        (export "b" (type $b (sub resource)))
        (export "open" (func (result (own $b))))))
      (core func (canon lower (func $i "open"))))""")
    assert canons(resolved) == ["root lower import wasi:keyvalue/store@0.2.0#open"]
    (view,) = interfaces(resolved.world.imports)
    assert (view.name, view.implements) == ("primary", "wasi:keyvalue/store@0.2.0")
    assert view.resources["b"].owner == "wasi:keyvalue/store@0.2.0"


def test_lift_that_is_only_passed_on_is_called_as_it_is_passed() -> None:
    resolved = resolve_text("""(component
      (component $c (import "a:b/host" (instance (export "cb" (func)))))
      (core module $m (func (export "f")))
      (core instance $i (instantiate $m))
      (func $f (canon lift (core func $i "f")))
      (instance $host (export "cb" (func $f)))
      (instance (instantiate $c (with "a:b/host" (instance $host)))))""")
    assert canons(resolved) == ["root lift inner a:b/host#cb"]
