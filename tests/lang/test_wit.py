"""Scripts at WIT boundaries: paths, assignments, answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lang.samples import ADDRESS, CONNECT, ERROR, at_site, site
from whamm_cm.lang import tree as t
from whamm_cm.lang import valtypes as vt
from whamm_cm.lang.source import ScriptError
from whamm_cm.wit import types as w


def predicate(text: str, mode: str = "before") -> t.Expr:
    (probe,) = at_site(f"wasi:sockets/tcp#*:{mode} / {text} / {{ }}")
    assert probe.predicate is not None
    return probe.predicate


def body(text: str, mode: str = "before", type_: w.FuncT = CONNECT) -> tuple[t.Stmt, ...]:
    (probe,) = at_site(f"wasi:sockets/tcp#*:{mode} {{ {text} }}", site(type_))
    return probe.body


def path(node: t.Expr) -> str:
    match node:
        case t.Bound(name=name) | t.Static(name=name):
            return name
        case t.Field(operand=operand, index=index):
            return f"{path(operand)}.field{index}"
        case t.Payload(operand=operand, case=case):
            return f"{path(operand)}.case{case}"
        case t.IsCase(operand=operand, case=case):
            return f"{path(operand)} is {case}"
        case t.HasFlag(operand=operand, index=index):
            return f"{path(operand)} has {index}"
        case t.Element(operand=operand, index=index):
            return f"{path(operand)}[{path(index)}]"
        case t.Length(operand=operand):
            return f"len({path(operand)})"
        case t.Scalar(type=type_, operand=operand):
            return f"{type_}({path(operand)})"
        case t.Unary(operand=operand):
            return f"!({path(operand)})"
        case t.Binary(left=left, op=op, right=right):
            return f"{path(left)} {op} {path(right)}"
        case t.Builtin(name=name, args=args):
            return f"{name}({', '.join(map(path, args))})"
        case t.Const(value=value):
            return repr(value)
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        ("before", "remote_address is ipv4", "remote_address is 0"),
        ("before", "arg1 is ipv4", "remote_address is 0"),
        ("before", "remote_address.ipv4.port == 80", "u16(remote_address.case0.field0) == 80"),
        ("before", "remote_address.ipv4.address.3 == 1",
         "u8(remote_address.case0.field1.field3) == 1"),
        ("before", "data[count] == 7", "u8(data[u32(count)]) == 7"),
        ("before", "len(data) > 3", "len(data) > 3"),
        ("before", 'name == "x"', "str.eq(str(name), 'x')"),
        ("before", 'name.starts_with("x")', "str.starts_with(str(name), 'x')"),
        ("before", "len(name) == 1", "len(name) == 1"),
        ("before", 'modes has "write-all"', "modes has 1"),
        ("before", "!(maybe is some)", "!(maybe is 1)"),
        ("before", "maybe.some == -1", "i64(maybe.case1) == -1"),
        ("before", "handle(self) == 3", "u32(self) == 3"),
        ("before", "self == arg0", "u32(self) == u32(self)"),
        ("before", 'interface == "i" ', "str.eq(interface, 'i')"),
        ("before", "is_async", "is_async"),
        ("before", "call_id == 1", "call_id == 1"),
        ("after", "is_err", "result is 1"),
        ("after", "result is ok", "result is 0"),
        ("after", "result is err && result.error is access-denied",
         "result is 1 && result.case1 is 0"),
        ("after", 'result.err != "timeout"', "!(result.case1 is 1)"),
        ("after", "result.ok > 4", "u64(result.case0) > 4"),
        ("after", "elapsed > 1_000", "elapsed > 1000"),
    ],
)  # fmt: skip
def test_paths(mode: str, text: str, expected: str) -> None:
    assert path(predicate(text, mode)) == expected


def test_globals_come_before_parameters() -> None:
    (probe,) = at_site("var count: i64; wasi:sockets/tcp#*:before / count == 1 / { arg4 = 2; }")
    assert isinstance(probe.predicate, t.Binary) and isinstance(probe.predicate.left, t.Var)
    (assign,) = probe.body
    assert isinstance(assign, t.Assign) and path(assign.target) == "count"


def test_assignments() -> None:
    number, added, text = body('count = 3; count += 2; name = "short";')
    for statement in (number, added, text):
        assert isinstance(statement, t.Assign) and isinstance(statement.target, t.Bound)
    assert isinstance(number, t.Assign) and number.value.type == vt.U32
    assert isinstance(added, t.Assign) and path(added.value) == "u32(count) + 2"
    assert isinstance(text, t.Assign) and text.value.type == vt.STR


def test_an_enum_parameter_takes_a_case() -> None:
    (found,) = body('e = "timeout";', type_=w.FuncT((("e", ERROR),), None))
    assert isinstance(found, t.Assign) and isinstance(found.value, t.Const)
    assert found.value.value == 1


U8, S8, STRING = w.Prim("u8"), w.Prim("s8"), w.Prim("string")


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (w.ResultT(U8, ERROR), "ok(7)", {"ok": 7}),
        (w.ResultT(U8, ERROR), "err(access-denied)", {"error": "access-denied"}),
        (w.ResultT(U8, ERROR), "err(timeout)", {"error": "timeout"}),
        (w.ResultT(U8, ERROR), 'error("access_denied")', {"error": "access-denied"}),
        (w.ResultT(None, None), "ok", {"ok": None}),
        (w.ResultT(None, None), "err", {"error": None}),
        (w.OptionT(S8), "some(-1)", -1),
        (w.OptionT(S8), "none", None),
        (w.OptionT(w.OptionT(S8)), "some(none)", {"some": None}),
        (w.ListT(U8), '"abc"', b"abc"),
        (w.ListT(U8), "[1, 2]", b"\x01\x02"),
        (w.ListT(STRING), '["a", "b"]', ["a", "b"]),
        (w.ListT(STRING), "[]", []),
        (w.TupleT((U8, STRING)), '(1, "a")', [1, "a"]),
        (w.RecordT((("a-b", U8), ("c", STRING))), '{c: "x", a-b: 2}', {"a-b": 2, "c": "x"}),
        (w.FlagsT(("r", "w-x")), "{w-x, r}", ["r", "w-x"]),
        (w.FlagsT(("r", "w-x")), '["w-x"]', ["w-x"]),
        (w.FlagsT(("r", "w-x")), "{}", []),
        (ERROR, '"timeout"', "timeout"),
        (ERROR, "access-denied", "access-denied"),
        (ADDRESS, "unknown", {"unknown": None}),
        (w.VariantT((("http-status", U8),)), "http-status(5)", {"http-status": 5}),
        (w.Prim("char"), '"x"', "x"),
        (w.Prim("f32"), "-1.5", -1.5),
        (w.Prim("bool"), "true", True),
        (w.Prim("string"), '"x"', "x"),
    ],
)  # fmt: skip
def test_constants_that_answer(type_: w.ValType, text: str, value: Any) -> None:
    (found,) = body(f"return {text};", "alt", w.FuncT((), type_))
    assert isinstance(found, t.Return) and isinstance(found.value, t.WitConst)
    assert found.value.value == value


def test_scalars_may_answer_with_any_expression() -> None:
    (found,) = body("return n + 1;", "alt", w.FuncT((("n", w.Prim("u64")),), w.Prim("u64")))
    assert isinstance(found, t.Return) and isinstance(found.value, t.Binary)


def test_acts() -> None:
    wait, fail, go = body('delay(5); fail("access-denied"); proceed();', "alt")
    assert isinstance(wait, t.Act) and isinstance(fail, t.Act) and isinstance(go, t.Act)
    assert (wait.what, go.what) == ("delay", "proceed")
    assert isinstance(fail.args[0], t.Const) and fail.args[0].value == 0


@pytest.mark.parametrize(
    ("type_", "text", "said"),
    [
        (w.FuncT((), w.Prim("u8")), 'fail("x");', "cannot fail"),
        (w.FuncT((), w.ResultT(None, STRING)), 'fail("x");', "has no cases"),
        (w.FuncT((), w.Own(w.Resource("r"))), "return [1];", "no constants of handles"),
        (w.FuncT((), None), "return 1;", "no result"),
        (w.FuncT((), w.RecordT((("a", U8),))), "return {};", "lacks a"),
        (w.FuncT((), w.RecordT((("a", U8),))), "return {b: 1};", 'no field "b"'),
        (w.FuncT((), w.ListT(U8, 3)), "return [1];", "1 elements instead of 3"),
        (w.FuncT((), w.ListT(U8)), "return [256];", "does not fit"),
        (w.FuncT((), w.Prim("char")), 'return "ab";', "one character"),
    ],
)  # fmt: skip
def test_impossible_answers(type_: w.FuncT, text: str, said: str) -> None:
    with pytest.raises(ScriptError, match=said):
        body(text, "alt", type_)


def test_the_probe_of_a_boundary() -> None:
    (probe,) = at_site("wasm:func:entry { } wasi:sockets/tcp#*:after { trace; }")
    assert (probe.package, probe.mode, probe.number) == ("wit", "after", 1)
    assert probe.event == "tcp-socket.start-connect" and isinstance(probe.body[0], t.Trace)
