"""Mangled names as people wrote them."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.steps import no_endless_loop, steps
from whamm_cm.demangle.name import demangle

EXAMPLES = max(1, int(300 * float(os.environ.get("WHAMM_EXAMPLES", "1"))))

LEGACY = [
    ("_ZN4demo4main17h0123456789abcdefE", "demo::main"),
    ("__ZN4demo4main17h0123456789abcdefE", "demo::main"),
    ("_ZN4demo4main17h0123456789abcdefE.llvm.1234ABCD", "demo::main"),
    ("_ZN4demo4main17h0123456789abcdefE.cold.1", "demo::main.cold.1"),
    ("_ZN51_$LT$demo..Shape$u20$as$u20$demo..Area$LT$T$GT$$GT$4area17h0123456789abcdefE",
     "<demo::Shape as demo::Area<T>>::area"),
    ("_ZN4demo28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "demo::{{closure}}"),
    ("_ZN31_$LT$$RF$$BP$mut$C$$LP$$RP$$GT$4area17h0123456789abcdefE", "<&*mut,()>::area"),
]  # fmt: skip
V0 = [
    ("_RNvC4demo4main", "demo::main"),
    ("_RNvCs1234_4demo4main", "demo::main"),
    ("_RNCNvC4demo4main0", "demo::main::{closure#0}"),
    ("_RNCNvC4demo4mains_0", "demo::main::{closure#1}"),
    ("_RNSNvC4demo4main6vtable", "demo::main::{shim:vtable#0}"),
    ("_RNvMC4demoNtB2_5Shape4area", "<demo::Shape>::area"),
    ("_RNvXs_C4demoNtB4_5ShapeNtB4_4Area4area", "<demo::Shape as demo::Area>::area"),
    ("_RNvYNtC4demo5ShapeNtB4_4Area4area", "<demo::Shape as demo::Area>::area"),
    ("_RINvC4demo4sizehRtQmPaOxE", "demo::size::<u8, &u16, &mut u32, *const i8, *mut i64>"),
    ("_RINvC4demo4sizeTETeETbcEE", "demo::size::<(), (str,), (bool, char)>"),
    ("_RINvC4demo4sizeAhj4_ShE", "demo::size::<[u8; 4], [u8]>"),
    ("_RINvC4demo4sizeKj2a_Kan1_Kb1_Kc61_KpE", "demo::size::<42, -1, true, 'a', _>"),
    ("_RINvC4demo4sizeKRe6869_KeE", None),
    ("_RINvC4demo4sizeKRe6869_E", 'demo::size::<"hi">'),
    ("_RINvC4demo4sizeKe6869_E", 'demo::size::<{*"hi"}>'),
    ("_RINvC4demo4sizeKTj1_b0_EE", "demo::size::<{(1, false)}>"),
    ("_RINvC4demo4sizeKVNtB2_1PS1xj1_1yj2_EE", "demo::size::<{demo::P { x: 1, y: 2 }}>"),
    ("_RINvC4demo4sizeKyffffffffffffffff1_E", "demo::size::<0xffffffffffffffff1>"),
    ("_RINvC4demo4callFhtEmE", "demo::call::<fn(u8, u16) -> u32>"),
    ("_RINvC4demo4callFUKChEuE", 'demo::call::<unsafe extern "C" fn(u8)>'),
    ("_RINvC4demo4callFK15C_cmse_ns_entryhEuE",
     'demo::call::<extern "C-cmse-ns-entry" fn(u8)>'),
    ("_RINvC4demo4callFK6C_cmsehEuE", 'demo::call::<extern "C-cmse" fn(u8)>'),
    ("_RINvC4demo4callFG_RL0_hERL0_hE", "demo::call::<for<'a> fn(&'a u8) -> &'a u8>"),
    ("_RINvC4demo4callFG0_RL1_hRL0_hEuE", "demo::call::<for<'a, 'b> fn(&'a u8, &'b u8)>"),
    ("_RINvC4demo4callDNtB2_4AreaEL_E", "demo::call::<dyn demo::Area>"),
    ("_RINvC4demo4callDNtB2_4AreaNtB2_4SendEL_E", "demo::call::<dyn demo::Area + demo::Send>"),
    ("_RINvC4demo4callDNtB2_4Areap4ItemhEL_E", "demo::call::<dyn demo::Area<Item = u8>>"),
    ("_RINvC4demo4callDINtB2_4AreahEp4ItemtEL_E", "demo::call::<dyn demo::Area<u8, Item = u16>>"),
    ("_RINvC4demo4callL_E", "demo::call::<'_>"),
    ("_RINvC4demo4callRhBz_E", None),
    ("_RINvC4demo4callRhBd_E", "demo::call::<&u8, &u8>"),
    ("_RINvC4demo4callhEC5other", "demo::call::<u8>"),
    ("_RNvC4demo4main.llvm.123", "demo::main"),
    ("_RNvC4demou8gdel_5qa", "demo::gödel"),
    ("_RNvC4demou9bcher_kva", "demo::bücher"),
]  # fmt: skip
CPP = [
    ("_Z1fv", "f()"),
    ("_ZN4demo4areaEid", "demo::area(int, double)"),
    ("_ZN12_GLOBAL__N_14areaEv", "(anonymous namespace)::area()"),
    ("_ZNK4demo5Shape4areaEv", "demo::Shape::area() const"),
    ("_ZNVKO4demo5Shape4areaEv", "demo::Shape::area() const volatile &&"),
    ("_ZN4demo5ShapeC1ERKS0_", "demo::Shape::Shape(demo::Shape const&)"),
    ("_ZN4demo5ShapeD0Ev", "demo::Shape::~Shape()"),
    ("_ZN4demo3BoxIiEC2Ei", "demo::Box<int>::Box(int)"),
    ("_Z3maxIiET_S0_S0_", "int max<int>(int, int)"),
    ("_Z4packIJicEEvDpT_", "void pack<int, char>(int, char)"),
    ("_Z4packIJEEvDpT_", "void pack<>()"),
    ("_Z4packIJiA3_cEEvDpRKT_", "void pack<int, char [3]>(int const&, char const (&) [3])"),
    ("_ZNSt6vectorIiSaIiEE9push_backERKi",
     "std::vector<int, std::allocator<int>>::push_back(int const&)"),
    ("_ZNSsC1EPKc",
     "std::basic_string<char, std::char_traits<char>, std::allocator<char>>"
     "::basic_string(char const*)"),
    ("_Z1fSsSi", "f(std::string, std::istream)"),
    ("_Z1fPFviE", "f(void (*)(int))"),
    ("_Z1fPFPFvvEiE", "f(void (*(*)(int))())"),
    ("_Z1fM5ShapeKFdvE", "f(double (Shape::*)() const)"),
    ("_Z1fM5Shaped", "f(double Shape::*)"),
    ("_Z1fPA3_PFvvE", "f(void (* (*) [3])())"),
    ("_Z1fIiEPFvvET_", "void (*f<int>(int))()"),
    ("_Z1fRA3_A4_i", "f(int (&) [3][4])"),
    ("_Z1fPDoFvvE", "f(void (*)() noexcept)"),
    ("_Z1fDnDiDu", "f(decltype(nullptr), char32_t, char8_t)"),
    ("_Z1fIRiEvOT_", "void f<int&>(int&)"),
    ("_ZlsRSoRK5Shape", "operator<<(std::ostream&, Shape const&)"),
    ("_ZN5ShapeplERKS_", "Shape::operator+(Shape const&)"),
    ("_ZN5ShapecvdEv", "Shape::operator double()"),
    ("_ZN5ShapecvT_IdEEv", "Shape::operator double<double>()"),
    ("_Zli3_kmy", 'operator"" _km(unsigned long long)'),
    ("_ZnwmSt11align_val_t", "operator new(unsigned long, std::align_val_t)"),
    ("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"),
    ("_ZZ4mainENKUliE0_clEi", "main::{lambda(int)#2}::operator()(int) const"),
    ("_ZZ4mainE5count_0", "main::count"),
    ("_ZZ1fvEs", "f()::string literal"),
    ("_ZN5ShapeUt_4areaEv", "Shape::{unnamed type#1}::area()"),
    ("_ZN6gödel1fEv", "gödel::f()"),
    ("_Z1fB5cxx11v", "f[abi:cxx11]()"),
    ("_ZN1AILn3EE1fEv", "A<(__int128)3>::f()"),
    ("_ZN1AILi5ELb1ELj7ELin3EE1fEv", "A<5, true, 7u, -3>::f()"),
    ("_ZN1AILN4demo5ColorE2EE1fEv", "A<(demo::Color)2>::f()"),
    ("_ZN1AIXadL_Z1fvEEE1gEv", "A<&(f())>::g()"),
    ("_Z1fIiEDTplfp_Li1EET_", "decltype ({parm#1}+(1)) f<int>(int)"),
    ("_Z1fIiEvT_NS0_4typeE", "void f<int>(int, int::type)"),
    ("_Z1fIiENT_4typeES0_", "int::type f<int>(int)"),
    ("_ZTV5Shape", "vtable for Shape"),
    ("_ZTIi", "typeinfo for int"),
    ("_ZTSPKc", "typeinfo name for char const*"),
    ("_ZGVZ1fvE1x", "guard variable for f()::x"),
    ("_ZThn8_N5Shape4areaEv", "non-virtual thunk to Shape::area()"),
    ("_ZTv0_n24_N5Shape4areaEv", "virtual thunk to Shape::area()"),
    ("_ZTch0_h8_N5Shape4copyEv", "covariant return thunk to Shape::copy()"),
    ("_ZTC5Shape0_4Base", "construction vtable for Base-in-Shape"),
    ("_ZL4areav", "area()"),
    ("_Z1fDv4_f", "f(float __vector(4))"),
    ("_Z1fi.part.0.constprop.1", "f(int) [clone .part.0] [clone .constprop.1]"),
]  # fmt: skip
PLAIN = [
    "", "main", "_start", "_", "_Z", "_R", "_ZN", "_RNv", "__wasm_call_ctors", "_ZZ", "_Zfoo!",
    "cabi_realloc", "wasi:io/poll@0.2.0#poll", "_Reset", "_RESET", "_Zebra",
    "$s4main3addyS2i_SitF", "runtime.gcStart", "main.(*T).Method", "fmt.Fprintf",
    "std.fmt.format__anon_1234", "heap.PageAllocator.alloc", "_ZN4demo", "_ZN99999demoE",
    "_RNvC4demo4main garbage", "_RNvCs1234_4demo9main", "_RB_", "_RNvB_4main", "_Z1fS_", "_Z1fT_",
    "_ZN5gödelE", "_ZN6gödel\ud800E", "_ZN4demo4main17h0123456789abcdeE" + "x",
]  # fmt: skip


@pytest.mark.parametrize(("name", "shown"), [*LEGACY, *V0, *CPP])
def test_known_names(name: str, shown: str | None) -> None:
    """None: not a name by the grammar."""
    assert demangle(name) == (name if shown is None else shown)


@pytest.mark.parametrize("name", PLAIN)
def test_other_names_are_left_alone(name: str) -> None:
    assert demangle(name) == name


letters = st.text("NMXYICBSTDRQFKLEGsuhtv_0123456789aZdoepPlciJn", max_size=60)
starts = st.sampled_from(("_R", "_Z", "_ZN", "_RNv", "_ZNSt", "_RINv", "_ZTV", "_ZZ", "_Z1fI"))


@st.composite
def changed(draw: st.DrawFn) -> str:
    """A mangled name with something else in the middle."""
    name = draw(st.sampled_from([*LEGACY, *V0, *CPP]))[0]
    start = draw(st.integers(0, len(name)))
    end = draw(st.integers(start, min(len(name), start + 4)))
    return name[:start] + draw(letters)[:6] + name[end:]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.builds(str.__add__, starts, letters) | changed() | st.text(max_size=30))
def test_nothing_is_an_error_and_nothing_gets_long(name: str) -> None:
    shown = demangle(name)
    assert shown and len(shown) <= 1 << 16 or not name
    if not name.startswith("_"):
        assert shown == name


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.from_regex(r"[a-z][a-z0-9_.:#<>]{0,30}", fullmatch=True))
def test_plain_names_stay(name: str) -> None:
    assert demangle(demangle(name)) == demangle(name) == name


BOMBS = {
    "deep Rust types": "_RINvC4demo1f" + "R" * 9000 + "hE",
    "deep Rust paths": "_R" + "Nv" * 3000 + "C1a" + "1b" * 3000,
    "Rust back references": "_RINvC1a1bTTTTTThhEhhEhhEhhE" + "TBc_Bc_Bc_Bc_E" * 800 + "E",
    "a back reference to itself": "_RB_",
    "deep C++ types": "_Z1f" + "P" * 9000 + "i",
    "deep C++ templates": "_Z1f" + "1AI" * 3000 + "i" + "E" * 3000,
    "C++ doubling": "_Z1f1AIiE" + "".join(
        f"1BIS{n}_S{n}_E" for n in "".join("0123456789ABCDEFGHIJKLMNOPQRSTUVWXY")
    ),
    "many lifetimes": "_RINvC1a1bFGzzzzzzz_hEuE",
    "a long number": "_ZN" + "9" * 5000 + "aE",
    "a long identifier": "_ZN9000" + "a" * 9000 + "E",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS.values(), ids=BOMBS)
def test_a_short_name_does_not_take_long(name: str) -> None:
    with no_endless_loop():
        assert len(demangle(name)) <= 1 << 15
    assert steps(lambda: demangle.__wrapped__(name)) < 1_000_000


def filtered(tool: list[str], names: list[str]) -> list[str]:
    ran = subprocess.run(tool, input="\n".join(names), capture_output=True, text=True, check=True)
    return ran.stdout.split("\n")


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("c++filt"), reason="needs c++filt")
def test_the_table_is_what_binutils_say() -> None:
    names = [(name, shown) for name, shown in CPP if shown and name.isascii()]
    found = filtered(["c++filt", "-i"], [name for name, _ in names])
    differing = {
        name: (shown, theirs)
        for (name, shown), theirs in zip(names, found, strict=False)
        if shown != theirs.replace("> >", ">>")
    }
    assert differing == {}
