"""Secrets stay in the guest; lengths do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from tests.emit.canon import Guest, core_value, encode_text
from tests.emit.records import SECRETS, Body, Expected, is_secret
from tests.emit.rig import Rig
from tests.strategies import texts, values_of, wit_types
from whamm_cm import load
from whamm_cm.abi.flatten import core_signature
from whamm_cm.agent.layout import RecordFlag
from whamm_cm.emit.model import ProbeOptions, Redact, Wrapper
from whamm_cm.wit.types import FuncT, ListT, MapT, Named, Prim, ResultT, TupleT, ValType

STRING = Prim("string")
BYTES = ListT(Prim("u8"))
NAME, VALUE = Named("field-name", None, STRING), Named("field-value", None, BYTES)
FIELDS = ListT(TupleT((NAME, VALUE)))
HEADERS = [
    ["a" * 300, b"longer than any name the agent compares"],
    ["X-Amz-Security-Token", b"by its ending"],
    ["x_hub_signature-256", b"by its beginning and its ending"],
    ["idempotency-key", b"not every key"],
    ["Authorization", b"Bearer 1"],
    ["accept", b"*/*"],
    ["COOKIE", b"a=b"],
    ["x-api-keys", b"plural"],
    ["x-api-key", b""],
    ["", b"empty"],
]


def observe(
    func: FuncT, values: list[Any], result: Any, redact: Redact, guest: Guest, **options: Any
) -> tuple[list[Any], Any]:
    """The recorded parameters and result of one lower with a spilled or empty result."""
    types = [t for _, t in func.params]
    sig = core_signature(func, "lower", ptr=guest.ptr)
    wrapper = Wrapper(
        1,
        "lower",
        "record",
        sig,
        func.params,
        func.result,
        memory=0,
        encoding=guest.encoding,
        redact=redact,
    )
    if sig.params_spilled:
        flat = [("i32", guest.store_all(types, values))]
    else:
        pairs = zip(types, values, strict=True)
        flat = [core for t, v in pairs for core in guest.lower(t, v)]
    answer = None
    if sig.results_spilled:
        flat.append(("i32", guest.store_all([func.result], [result])))
    elif func.result is not None:
        answer = core_value(guest.lower(func.result, result)[0])
    rig = Rig([wrapper], [lambda *_: answer], ProbeOptions(**options))
    rig.poke(guest.base, bytes(guest.heap))
    rig.call(*map(core_value, flat))
    records = rig.buffered()
    assert len(records) == 2
    results = [] if func.result is None else [func.result]
    back = Body(records[1].body, 4, guest.encoding).values(results)
    return Body(records[0].body, 4, guest.encoding).values(types), back


#: Asks for its variables as adapters do that want to know their size: every string goes to where
#: the last one is.
SCRATCH = """(component
  (import "wasi:cli/environment@0.2.0" (instance $env
    (export "get-environment" (func (result (list (tuple string string)))))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (select (i32.const 4096) (i32.const 64) (i32.lt_u (local.get 2) (i32.const 4)))))
  (core instance $libc (instantiate $libc))
  (core func $get (canon lower (func $env "get-environment") %s
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core module $m (import "" "get" (func $get (param i32)))
    (func (export "f") (call $get (i32.const 16))))
  (core instance $m (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "f") (canon lift (core func $m "f"))))"""


@pytest.mark.parametrize("encoding", ["utf8", "latin1+utf16"])
def test_a_name_that_lies_where_its_secret_does_is_one(encoding: str) -> None:
    variables = {"LONG_NAME": "hunter2hunter2", "EMPTY": ""}
    app = load(bytes(wat2wasm(SCRATCH % f"string-encoding={encoding}")), "app.wasm")
    run = app.trace(env=variables, invoke="f")
    (result,) = (one["result"] for one in run.records if "result" in one and one["func"] != "f")
    assert result == [[{"~redacted": len(k)}, {"~redacted": len(v)}] for k, v in variables.items()]


@pytest.mark.parametrize("multi_memory", [True, False])
@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
def test_headers(encoding: Any, multi_memory: bool) -> None:
    func = FuncT((("h", FIELDS),), FIELDS)
    redact = Redact("headers", "headers")
    guest = Guest(encoding=encoding)
    found, back = observe(func, [HEADERS], HEADERS, redact, guest, multi_memory=multi_memory)
    values = [pair[1] for pair in back[0][2]]
    assert [v == "redacted" for v in values] == [
        True, True, True, False, True, False, True, False, True, False
    ]  # fmt: skip
    assert found == back == Expected(encoding).values([FIELDS], [HEADERS], "headers")


def test_tagged_strings_that_only_look_secret() -> None:
    """UTF-16 units whose low bytes spell a secret name are another name."""
    guest = Guest(encoding="utf16")
    name = "".join(chr(0x100 + ord(c)) for c in "cookie")
    pair = TupleT((STRING, STRING))
    found, _ = observe(FuncT((("p", pair),), None), [[name, "v"]], None, Redact("headers"), guest)
    assert found[0][1] == ("str", b"v\0", 1)


def test_values_keep_the_keys() -> None:
    entries = ListT(TupleT((STRING, STRING)))
    t = ResultT(entries, STRING)
    guest = Guest()
    _, [found] = observe(
        FuncT((), t), [], {"ok": [["HOME", "/root"]]}, Redact("none", "values"), guest
    )
    assert found == (0, ("list", 1, [[("str", b"HOME", 4), "redacted"]]))


def test_values_of_a_map_keep_the_keys() -> None:
    t = MapT(STRING, BYTES)
    found, _ = observe(FuncT((("m", t),), None), [[["k", b"v"]]], None, Redact("values"), Guest())
    assert found == [("list", 1, [[("str", b"k", 1), "redacted"]])]


@pytest.mark.parametrize("name", ["authorization", "Set-Cookie", "accept", "", "x" * 300])
@pytest.mark.parametrize("spilled", [False, True])
def test_gate(name: str, spilled: bool) -> None:
    filler = tuple((f"n{i}", Prim("u8")) for i in range(16 if spilled else 1))
    params = (("before", STRING), ("name", NAME), ("value", VALUE), *filler)
    func = FuncT(params, ListT(VALUE))
    values = ["kept", name, b"secret", *[7] * len(filler)]
    found, [back] = observe(func, values, [b"old"], Redact(gate=1), Guest())
    plain = Expected().values([t for _, t in params], values)
    assert found[:2] == plain[:2] and found[3:] == plain[3:]
    secret = is_secret(name)
    assert found[2] == ("redacted" if secret else plain[2])
    assert back == ("list", 1, ["redacted" if secret else ("list", 3, list(b"old"))])


def test_gate_that_cannot_be_read_redacts() -> None:
    func = FuncT((("name", STRING), ("value", STRING)), None)
    wrapper = Wrapper(
        1, "lower", "record", core_signature(func, "lower"), func.params, memory=0,
        redact=Redact(gate=0),
    )  # fmt: skip
    rig = Rig([wrapper], [lambda *_: None])
    rig.call(0x7FFFFFFF, 6, 0, 6)
    types: list[ValType] = [STRING, STRING]
    assert Body(rig.buffered()[0].body, 4, "utf8").values(types) == ["bad", "redacted"]


def test_gate_of_unreadable_parameters_redacts_the_result() -> None:
    params = (("name", STRING), *((f"n{i}", Prim("u8")) for i in range(16)))
    func = FuncT(params, STRING)
    sig = core_signature(func, "lower")
    wrapper = Wrapper(
        1, "lower", "record", sig, params, func.result, memory=0, redact=Redact(gate=0)
    )
    rig = Rig([wrapper], [lambda *_: None])
    rig.call(-1, 0)
    call, back = rig.buffered()
    assert call.flags == RecordFlag.BAD
    assert Body(back.body, 4, "utf8").values([STRING]) == ["redacted"]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_modes_on_any_type(data: st.DataObject) -> None:
    inner = data.draw(wit_types(2))
    t = data.draw(st.sampled_from((inner, ListT(TupleT((STRING, inner))))))
    mode = data.draw(st.sampled_from(("values", "headers")))
    names = st.sampled_from(sorted(SECRETS)) | texts()
    if t is inner:
        value = data.draw(values_of(t))
    else:
        value = data.draw(st.lists(st.tuples(names, values_of(inner)).map(list), max_size=3))
    guest = Guest(encoding=data.draw(st.sampled_from(("utf8", "utf16", "latin1+utf16"))))
    found, _ = observe(FuncT((("p", t),), None), [value], None, Redact(mode), guest)
    assert found == Expected(guest.encoding).values([t], [value], mode)


def test_secrets_beyond_the_limit_of_lists_are_sent_too() -> None:
    pairs = [[f"KEY{i}", f"value{i}"] for i in range(100)]
    func = FuncT((), ListT(TupleT((STRING, STRING))))
    _, [found] = observe(func, [], pairs, Redact("none", "values"), Guest())
    assert found[:2] == ("list", 100) and len(found[2]) == 100


@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
@pytest.mark.parametrize("text", ["hunter22", "x" * 1000, "", "päss", "Ω" * 200])
def test_the_beginning_of_a_secret_goes_to_the_sink(encoding: Any, text: str) -> None:
    guest = Guest(encoding=encoding)
    func = FuncT((("p", STRING),), None)
    sig = core_signature(func, "lower")
    wrapper = Wrapper(
        1, "lower", "record", sig, func.params, memory=0, encoding=encoding,
        redact=Redact("values"),
    )  # fmt: skip
    rig = Rig([wrapper], [lambda *_: None])
    flat = guest.lower(STRING, text)
    rig.poke(guest.base, bytes(guest.heap))
    rig.call(*map(core_value, flat))
    body = rig.buffered()[0].body
    raw, _, _ = encode_text(text, encoding)
    sent = raw[:256]
    assert body[8:12] == b"\xfd\xff\xff\xff"
    assert body[12:16] == len(sent).to_bytes(4, "little") and body[16:] == sent
