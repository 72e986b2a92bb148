"""What every instruction pops and pushes, as one table over the opcode table.

A signature reads like the specification's stack types (core specification 3.4), bottom first:
``"i32 i32 -> i32"``.  Words that are no value type depend on immediates and on the module; they are
the rows of ``operands.RESOLVERS``.  Instructions whose signature depends on what is on the stack,
and those that change the control stack, are in ``SPECIAL``: ``stack.py`` has a function for each.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from whamm_cm.errors import InternalError
from whamm_cm.wasm.opcodes import Imm, Opcode

NUMBERS = frozenset(("i32", "i64", "f32", "f64", "v128"))


class Signature(NamedTuple):
    """``pops`` and ``pushes``, bottom first; ``special`` ones are ``stack.py``'s."""

    pops: tuple[str, ...]
    pushes: tuple[str, ...]
    special: bool = False

    @property
    def fixed(self) -> bool:
        """Whether neither immediates nor the stack decide anything."""
        return not self.special and NUMBERS.issuperset(self.pops + self.pushes)


_INT, _FLOAT = r"i(?:32|64)", r"f(?:32|64)"
_SHAPE = r"(?:i8x16|i16x8|i32x4|i64x2|f32x4|f64x2)"
_RMW = r"rmw(?:8|16|32)?\.(?:add|sub|and|or|xor|xchg)(?:_u)?"

#: (signature, pattern of mnemonics); ``T`` is the type the mnemonic begins with, ``S`` the one that
#: its second group names.  The first pattern that matches a whole mnemonic counts.
_SCALAR = (
    ("-> T", rf"({_INT}|{_FLOAT}|v128)\.const"),
    ("T -> i32", rf"({_INT})\.eqz"),
    ("T T -> i32", rf"({_INT})\.(?:eq|ne|(?:lt|gt|le|ge)_[su])"),
    ("T T -> i32", rf"({_FLOAT})\.(?:eq|ne|lt|gt|le|ge)"),
    ("T -> T", rf"({_INT})\.(?:clz|ctz|popcnt|extend(?:8|16|32)_s)"),
    ("T T -> T", rf"({_INT})\.(?:add|sub|mul|(?:div|rem|shr)_[su]|and|or|xor|shl|rotl|rotr)"),
    ("T -> T", rf"({_FLOAT})\.(?:abs|neg|ceil|floor|trunc|nearest|sqrt)"),
    ("T T -> T", rf"({_FLOAT})\.(?:add|sub|mul|div|min|max|copysign)"),
    ("S -> T", rf"({_INT}|{_FLOAT})\.[a-z_]+_({_INT}|{_FLOAT})(?:_[su])?"),
    ("i64 i64 i64 i64 -> i64 i64", r"i64\.(?:add|sub)128"),
    ("i64 i64 -> i64 i64", r"i64\.mul_wide_[su]"),
)
_MEMORY = (
    ("at -> T", rf"({_INT}|{_FLOAT})\.(?:atomic\.)?load(?:8|16|32)?(?:_[su])?"),
    ("at T ->", rf"({_INT}|{_FLOAT})\.(?:atomic\.)?store(?:8|16|32)?"),
    ("at T -> T", rf"({_INT})\.atomic\.{_RMW}"),
    ("at T T -> T", rf"({_INT})\.atomic\.rmw(?:8|16|32)?\.cmpxchg(?:_u)?"),
    ("at i32 -> i32", r"memory\.atomic\.notify"),
    ("at i32 i64 -> i32", r"memory\.atomic\.wait32"),
    ("at i64 i64 -> i32", r"memory\.atomic\.wait64"),
    ("->", r"atomic\.fence|pause"),
    ("-> mem", r"memory\.size"),
    ("mem -> mem", r"memory\.grow"),
    ("mem i32 i32 ->", r"memory\.init"),
    ("mem source_mem least_mem ->", r"memory\.copy"),
    ("mem i32 mem ->", r"memory\.fill"),
    ("mem mem ->", r"memory\.discard"),
    ("->", r"(?:data|elem)\.drop"),
    ("tab -> element", r"table\.(?:atomic\.)?get"),
    ("tab element ->", r"table\.(?:atomic\.)?set"),
    ("tab element -> element", r"table\.atomic\.rmw\.xchg"),
    ("tab element element -> element", r"table\.atomic\.rmw\.cmpxchg"),
    ("-> tab", r"table\.size"),
    ("element tab -> tab", r"table\.grow"),
    ("tab element tab ->", r"table\.fill"),
    ("tab source_tab least_tab ->", r"table\.copy"),
    ("tab i32 i32 ->", r"table\.init"),
    ("-> local", r"local\.get"),
    ("local ->", r"local\.set"),
    ("local -> local", r"local\.tee"),
    ("-> global", r"global\.(?:atomic\.)?get"),
    ("global ->", r"global\.(?:atomic\.)?set"),
    ("global global -> global", r"global\.atomic\.rmw\.cmpxchg"),
    ("global -> global", r"global\.atomic\.rmw\..+"),
)
_VECTOR = (
    ("at -> v128", r"v128\.load(?:\d+x\d+_[su]|\d+_splat|\d+_zero)?"),
    ("at v128 -> v128", r"v128\.load\d+_lane"),
    ("at v128 ->", r"v128\.store(?:\d+_lane)?"),
    ("i32 -> v128", r"(?:i8x16|i16x8|i32x4)\.splat"),
    ("S -> v128", rf"()({_INT}|{_FLOAT})x\d\.splat"),
    ("v128 -> i32", r"(?:i8x16|i16x8|i32x4)\.extract_lane(?:_[su])?"),
    ("v128 -> S", rf"()({_INT}|{_FLOAT})x\d\.extract_lane"),
    ("v128 i32 -> v128", r"(?:i8x16|i16x8|i32x4)\.replace_lane"),
    ("v128 S -> v128", rf"()({_INT}|{_FLOAT})x\d\.replace_lane"),
    ("v128 -> i32", rf"v128\.any_true|{_SHAPE}\.(?:all_true|bitmask)"),
    ("v128 i32 -> v128", rf"{_SHAPE}\.sh(?:l|r_[su])"),
    (
        "v128 v128 v128 -> v128",
        rf"v128\.bitselect|{_SHAPE}\.relaxed_(?:n?madd|laneselect|dot.+add_s)",
    ),
    ("v128 -> v128", r"v128\.not|f32x4\.demote_.+|f64x2\.promote_.+"),
    ("v128 -> v128", rf"{_SHAPE}\.(?:relaxed_)?(?:trunc|convert)_.+"),
    (
        "v128 -> v128",
        rf"{_SHAPE}\.(?:abs|neg|popcnt|sqrt|ceil|floor|trunc|nearest|ext(?:end|add)_.+)",
    ),
    ("v128 v128 -> v128", r"v128\.(?:and|andnot|or|xor)"),
    (
        "v128 v128 -> v128",
        rf"{_SHAPE}\.(?:shuffle|(?:relaxed_)?swizzle|narrow_.+|extmul_.+|dot_.+)",
    ),
    ("v128 v128 -> v128", rf"{_SHAPE}\.(?:eq|ne|(?:lt|gt|le|ge)(?:_[su])?|avgr_u)"),
    ("v128 v128 -> v128", rf"{_SHAPE}\.(?:(?:add|sub)(?:_sat_[su])?|mul|div)"),
    ("v128 v128 -> v128", rf"{_SHAPE}\.(?:relaxed_)?(?:p?(?:min|max)(?:_[su])?|q15mulr.+|dot_.+)"),
)
_CALLS = (
    ("->", r"nop"),
    ("params -> results", r"call"),
    ("params tab -> results", r"call_indirect"),
    ("params null_type -> results", r"call_ref"),
    ("chosen chosen i32 -> chosen", r"select"),  # with types; the other one is special
    ("tag_params -> tag_results", r"suspend"),
)
_REFERENCES = (
    ("-> null_heap", r"ref\.null"),
    ("-> func_type", r"ref\.func"),
    ("eqref eqref -> i32", r"ref\.eq"),
    ("null_heap -> i32", r"ref\.test"),
    ("null_heap -> cast", r"ref\.cast"),
    ("i32 -> i31", r"ref\.i31"),
    ("i32 -> shared_i31", r"ref\.i31_shared"),
    ("i31ref -> i32", r"i31\.get_[su]"),
    ("fields -> type", r"struct\.new"),
    ("-> type", r"struct\.new_default"),
    ("fields descriptor -> type", r"struct\.new_desc"),
    ("descriptor -> type", r"struct\.new_default_desc"),
    ("null_type -> field", r"struct\.(?:atomic\.)?get(?:_[su])?"),
    ("null_type field ->", r"struct\.(?:atomic\.)?set"),
    ("null_type field field -> field", r"struct\.atomic\.rmw\.cmpxchg"),
    ("null_type field -> field", r"struct\.atomic\.rmw\..+"),
    ("item i32 -> type", r"array\.new"),
    ("i32 -> type", r"array\.new_default"),
    ("items -> type", r"array\.new_fixed"),
    ("i32 i32 -> type", r"array\.new_(?:data|elem)"),
    ("null_type i32 -> item", r"array\.(?:atomic\.)?get(?:_[su])?"),
    ("null_type i32 item ->", r"array\.(?:atomic\.)?set"),
    ("arrayref -> i32", r"array\.len"),
    ("null_type i32 item i32 ->", r"array\.fill"),
    ("null_type i32 null_source i32 i32 ->", r"array\.copy"),
    ("null_type i32 i32 i32 ->", r"array\.init_(?:data|elem)"),
    ("null_type i32 item item -> item", r"array\.atomic\.rmw\.cmpxchg"),
    ("null_type i32 item -> item", r"array\.atomic\.rmw\..+"),
    ("anyref cast_descriptor -> cast", r"ref\.cast_desc_eq"),
    ("null_func -> type", r"cont\.new"),
    ("bound null_type -> source", r"cont\.bind"),
    ("cont_params null_type -> cont_results", r"resume"),
    ("tag_params null_type -> cont_results", r"resume_throw"),
    ("exnref null_type -> cont_results", r"resume_throw_ref"),
    ("switched null_type -> switched_back", r"switch"),
)
_RULES = _SCALAR + _MEMORY + _VECTOR + _CALLS + _REFERENCES

#: Instructions whose signature is not a matter of their immediates alone.
SPECIAL = frozenset(
    re.findall(
        r"\S+",
        """
        unreachable block loop if else try catch throw rethrow throw_ref end br br_if br_table
        return return_call return_call_indirect return_call_ref delegate catch_all drop try_table
        ref.is_null ref.as_non_null br_on_null br_on_non_null br_on_cast br_on_cast_fail
        any.convert_extern extern.convert_any ref.get_desc br_on_cast_desc_eq
        br_on_cast_desc_eq_fail
        """,
    )
)

_COMPILED = tuple((signature, re.compile(pattern)) for signature, pattern in _RULES)


def _words(text: str, match: re.Match[str]) -> tuple[str, ...]:
    named = dict(zip(("T", "S"), match.groups(), strict=False))
    return tuple(named.get(word) or word for word in text.split())


@cache
def signature(opcode: Opcode) -> Signature:
    """The signature of a row of the opcode table."""
    untyped = opcode.mnemonic == "select" and Imm.VALTYPES not in opcode.immediates
    if untyped or opcode.mnemonic in SPECIAL:
        return Signature((), (), True)
    for text, pattern in _COMPILED:
        match = pattern.fullmatch(opcode.mnemonic)
        if match:
            pops, _, pushes = text.partition("->")
            return Signature(_words(pops, match), _words(pushes, match))
    raise InternalError(f"{opcode.mnemonic} has no signature")
