"""Whatever is written, a script is either loaded or refused with a ScriptError."""

from __future__ import annotations

import os
import re

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.lang.samples import at_site
from whamm_cm.lang.source import ScriptError
from whamm_cm.lang.walk import walk

EXAMPLES = int(os.environ.get("WHAMM_EXAMPLES", "120"))
PROFILE = settings(max_examples=EXAMPLES, deadline=None,
                   suppress_health_check=[HealthCheck.too_slow])  # fmt: skip

WORDS = re.compile(r"\S+")
NAMES = st.sampled_from(
    WORDS.findall(
        "a b m h fid pc fname arg0 arg1 local0 res0 imm0 effective_addr target targets result name"
        " count data self modes remote_address maybe is_err true inf lib"
        " whamm_core APP_MEMID f trace"
    )
)
TYPES = st.sampled_from(
    ["u8", "i32", "u32", "i64", "u64", "f32", "f64", "bool", "str", "funcref", "hist", "(i32, u8)",
     "map<i32, i32>", "map<(u32, str), f64>", "map<str, map<i32, i32>>", "()", "int"]
)  # fmt: skip
LITERALS = st.sampled_from(
    ["0", "1", "-1", "0xff", "1.5", "1e400", '"x"', '"{} {{"', "99999999999", "()", "(1, 2)", "[1]",
     "{a: 1}", "{}"]
)  # fmt: skip
OPERATORS = st.sampled_from(WORDS.findall("&& || | ^ & == != >= > <= < << >> + - * / %"))
CALLS = st.sampled_from(
    WORDS.findall(
        "f print len handle memid strcmp read_str hist min resolve_funcref alt_call_by_id drop_args"
        " proceed fail delay nothing"
    )
)


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    args = st.lists(inner, max_size=3).map(", ".join)
    return st.one_of(
        st.tuples(inner, OPERATORS, inner).map(" ".join),
        st.tuples(st.sampled_from("!~-"), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, TYPES).map(lambda pair: f"{pair[0]} as {pair[1]}"),
        st.tuples(inner, inner, inner).map(lambda x: f"({x[0]} ? {x[1]} : {x[2]})"),
        st.tuples(CALLS, args).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(inner, st.sampled_from(["len", "id", "contains", "go", "check"]), args).map(
            lambda x: f"{x[0]}.{x[1]}({x[2]})"
        ),
        st.tuples(inner, st.sampled_from(["0", "ok", "err", "some", "ipv4", "port"])).map(".".join),
        st.tuples(inner, inner).map(lambda pair: f"{pair[0]}[{pair[1]}]"),
        inner.map(lambda text: f"{text} is ipv4"),
        inner.map(lambda text: f'{text} has "read"'),
        inner.map(lambda text: f"@static {text}"),
    )


EXPRESSIONS = st.recursive(NAMES | LITERALS, _wider, max_leaves=8)


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.lists(inner, max_size=3).map(lambda lines: "{ " + " ".join(lines) + " }")
    return st.one_of(
        st.tuples(EXPRESSIONS, block, block).map(lambda x: f"if ({x[0]}) {x[1]} else {x[2]}"),
        st.tuples(EXPRESSIONS, block).map(lambda x: f"while ({x[0]}) {x[1]}"),
        st.tuples(NAMES, EXPRESSIONS, block).map(lambda x: f"for {x[0]} in 0..{x[1]} {x[2]}"),
    )


SIMPLE = st.one_of(
    st.tuples(st.sampled_from(["", "report ", "unshared "]), NAMES, TYPES, EXPRESSIONS).map(
        lambda x: f"{x[0]}var {x[1]}: {x[2]} = {x[3]};"
    ),
    st.tuples(NAMES, TYPES).map(lambda x: f"var {x[0]}: {x[1]};"),
    st.tuples(EXPRESSIONS, st.sampled_from(["=", "+=", "<<="]), EXPRESSIONS).map(
        lambda x: f"{' '.join(x)};"
    ),
    EXPRESSIONS.map(lambda text: f"{text};"),
    EXPRESSIONS.map(lambda text: f"return {text};"),
    NAMES.map(lambda text: f"{text}++;"),
)
STATEMENTS = st.recursive(SIMPLE, _statements, max_leaves=4)
RULES = st.sampled_from(
    ["wasm:opcode:call(arg0: i32):before", "wasm:opcode:*load*:after", "wasm:func:entry",
     "wasm:opcode:br_table:*", "wasi:*/*#*:before", "wasi:*/*#*:after", "wit:import:*:alt",
     "wasm:opcode:table.get:alt", "wasm:report", "wasm:nothing:at:all"]
)  # fmt: skip
SCRIPTS = st.tuples(
    st.lists(SIMPLE, max_size=2).map(" ".join), RULES, EXPRESSIONS,
    st.lists(STATEMENTS, max_size=4).map(" ".join),
).map(lambda x: f"use lib; var a: i32; report var m: map<i32, i32>; var h: hist; {x[0]}"
      f" fn f(a: i32) -> i32 {{ return a; }} {x[1]} / {x[2]} / {{ {x[3]} }}")  # fmt: skip


PUNCTUATION = st.sampled_from(WORDS.findall('; { } ( ) / // /* */ " if else trace ,'))


def _tried(text: str) -> None:
    try:
        probes = at_site(text)
    except ScriptError as error:
        assert error.line >= 1 and error.column >= 1 and "\n" in str(error)
        return
    for probe in probes:
        for node in walk(*probe.body):
            assert node.span is not None


@PROFILE
@given(SCRIPTS)
def test_scripts_of_the_grammar(text: str) -> None:
    _tried(text)


@PROFILE
@given(st.lists(SIMPLE | EXPRESSIONS | RULES | NAMES | OPERATORS | PUNCTUATION,
                max_size=20).map(" ".join))  # fmt: skip
@example("wasm:func:entry { } /*")
def test_words_in_any_order(text: str) -> None:
    _tried(text)


@PROFILE
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    _tried(text)
    _tried("wasm:func:entry { " + text + " }")
