"""What is malformed is refused, with the offset of the fault and the way to it."""

from __future__ import annotations

from pytest import mark, raises

from tests.component.component_samples import PREAMBLE, section
from whamm_cm.component.decode import check_component, decode
from whamm_cm.component.encode import encode
from whamm_cm.errors import DecodeError, InputError


def component(*sections: bytes) -> bytes:
    return PREAMBLE + b"".join(sections)


def one(number: int, *entries: bytes) -> bytes:
    """A component of one section."""
    return component(section(number, *entries))


def nested(*sections: bytes) -> bytes:
    return section(4, component(*sections), counted=False)


_U8 = section(7, b"\x7d")
_MODULE = section(1, b"\0asm\1\0\0\0", counted=False)
#: What is wrong: (component, offset, path, message).
REFUSED = {
    "section": (component(b"\x0d\x00"), 8, "", "unknown component section 13"),
    "section length": (component(b"\x07\x05\x00"), 10, "", "type section of 5 bytes runs past"),
    "left over": (component(b"\x07\x03\x01\x7d\x00"), 12, "", "type section has 1 bytes too many"),
    "left over canons": (component(b"\x08\x03\x01\x05\x00"), 12, "", "canon section has 1 bytes"),
    "count": (component(b"\x07\x01\x05"), 10, "", "5 definitions ann"),
    "huge count": (component(b"\x07\x05\xff\xff\xff\xff\x0f"), 10, "", "4294967295 definitions"),
    "integer": (component(b"\x07\x80\x80\x80\x80\x10"), 9, "", "does not fit in 32 bits"),
    "long integer": (component(b"\x07" + b"\x80" * 5 + b"\x00"), 9, "", "takes too many bytes"),
    "type": (one(7, b"\x7d", b"\x60"), 12, "type[1]", "unknown type 0x60"),
    "later section": (component(_U8, section(7, b"\x00")), 15, "type[1]", "unknown type 0x00"),
    "behind an empty section": (
        component(section(7), _U8, section(7, b"\x00")),
        *(18, "type[1]", "unknown type 0x00"),
    ),
    "value type": (one(7, b"\x70\x63"), 12, "type[0]", "unknown value type 0x63"),
    "long value type": (one(7, b"\x70\xff\x7f"), 12, "type[0]", "negative type"),
    "forward": (one(7, b"\x70\x00"), 12, "type[0]", "index 0 is out of bounds"),
    "long index": (one(7, b"\x70\x80\x80\x80\x80\x10"), 12, "type[0]", "not fit in 33 bits"),
    "case": (one(7, b"\x71\x01\x01a\x00\x01"), 16, "type[0].case[0]", "must end in 0x00"),
    "optional": (one(7, b"\x66\x02"), 12, "type[0]", "0 or 1, not 0x02"),
    "result list": (one(7, b"\x40\x00\x02"), 13, "type[0]", "unknown result list"),
    "representation": (one(7, b"\x3f\x7d\x00"), 12, "type[0]", "representation"),
    "label": (one(7, b"\x6e\x01\x01\xff"), 14, "type[0].label[0]", "not valid UTF-8"),
    "field": (one(7, b"\x72\x02\x01a\x7d\x01b\x09"), 18, "type[0].field[1]", "index 9 is"),
    "declaration": (one(7, b"\x42\x01\x03"), 13, "type[0].decl[0]", "unknown declaration 0x03"),
    "deep declaration": (
        one(7, b"\x41\x02\x01\x7d\x01\x42\x01\x04\x00\x01x\x01\x07"),
        *(23, "type[0].decl[1].decl[0]", "type index 7 is out of bounds"),
    ),
    "core type": (one(3, b"\x40"), 11, "core type[0]", "unknown kind of type 0x40"),
    "core prefix": (one(3, b"\x00\x60"), 12, "core type[0]", "must be a non-final"),
    "core field": (one(3, b"\x5f\x01\x64\x07\x00"), 14, "core type[0].field[0]", "index 7 is"),
    "core mutability": (one(3, b"\x5e\x7f\x02"), 13, "core type[0]", "mutability of a field must"),
    "module declaration": (
        one(3, b"\x50\x02\x01\x5f\x00\x05"),
        16,
        "core type[0].decl[1]",
        "unknown module type declaration 0x05",
    ),
    "module type limits": (
        one(3, b"\x50\x01\x03\x01m\x02\x10\x00"),
        17,
        "core type[0].decl[0]",
        "unknown limits flags 0x10",
    ),
    "module type alias": (
        one(3, b"\x50\x01\x02\x10\x01\x03\x00"),
        16,
        "core type[0].decl[0]",
        "3 levels leaves the component",
    ),
    "module type's own index": (
        one(3, b"\x5f\x00", b"\x50\x01\x00\x01a\x01b\x00\x00"),
        21,
        "core type[1].decl[0]",
        "core type index 0 is out of bounds (there are 0)",
    ),
    "alias": (one(6, b"\x03\x03\x00"), 12, "alias[0]", "unknown alias target 0x03"),
    "sort": (one(6, b"\x06\x00\x00"), 11, "alias[0]", "unknown sort 0x06"),
    "core sort": (one(6, b"\x00\x05\x00"), 12, "alias[0]", "unknown core sort 0x05"),
    "outer": (one(6, b"\x03\x02\x01\x00"), 13, "alias[0]", "leaves the component"),
    "outer func": (one(6, b"\x01\x02\x00\x00"), 12, "alias[0]", "of the sort func are not"),
    "core export": (one(6, b"\x01\x01\x00\x00"), 12, "alias[0]", "cannot export a func"),
    "core instance": (one(2, b"\x02"), 11, "core instance[0]", "unknown core instance"),
    "instance": (one(5, b"\x02"), 11, "instance[0]", "unknown instance 0x02"),
    "argument": (
        component(_MODULE, section(2, b"\x00\x00\x01\x01a\x11\x00")),
        26,
        "core instance[0].arg[0]",
        "must be an instance",
    ),
    "built-in": (one(8, b"\x1f", b"\x7f"), 12, "canon[1]", "unknown canonical built-in"),
    "option": (one(8, b"\x1c\x01\x0a"), 13, "canon[0].option[0]", "option 0x0a"),
    "form of lift": (one(8, b"\x00\x01"), 12, "canon[0]", "unknown form of canon lift"),
    "flag": (one(8, b"\x0c\x02"), 12, "canon[0]", "must be 0 or 1, not 0x02"),
    "start": (component(b"\x09\x03\x00\x00\x00"), 10, "start[0]", "func index 0 is out of bounds"),
    "results": (
        component(
            section(7, b"\x40\x00\x01\x00"),
            section(10, b"\x00\x01f\x01\x00"),
            b"\x09\x04\x00\x00\xff\x01",
        ),
        27,
        "start[0]",
        "255 results announced",
    ),
    "name form": (one(10, b"\x03\x01a\x01\x00"), 11, "import[0]", "attributes 0x03"),
    "attribute": (
        one(10, b"\x02\x01a\x01\x03\x00"),
        15,
        "import[0].attribute[0]",
        "unknown name attribute 0x03",
    ),
    "extern type": (one(10, b"\x00\x01a\x06\x00"), 14, "import[0]", "extern type 0x06"),
    "core extern": (one(10, b"\x00\x01a\x00\x10\x00"), 14, "import[0]", "only core mod"),
    "bound": (one(10, b"\x00\x01a\x03\x02"), 15, "import[0]", "a type bound must be"),
    "value bound": (one(10, b"\x00\x01a\x02\x63"), 15, "import[0]", "unknown value type"),
    "value": (one(12, b"\x7d\x05\x00"), 13, "value[0]", "value of 5 bytes runs past"),
    "custom name": (component(b"\x00\x01\x05"), 11, "", "custom section name of 5 bytes runs past"),
    "module": (component(b"\x01\x05\0asm\2"), 10, "module[0]", "not a core module"),
    "nested preamble": (
        component(nested(), b"\x04\x08\0asm\1\0\0\0"),
        20,
        "component[1]",
        "not a component",
    ),
    "nested, short": (
        component(b"\x04\x03\0as"),
        10,
        "component[0]",
        "preamble of 8 bytes runs",
    ),
    "nested": (
        component(_U8, nested(_MODULE, nested(_U8, section(7, b"\x00")))),
        49,
        "component[0].component[0].type[1]",
        "unknown type 0x00",
    ),
    "nested section": (
        component(nested(nested(b"\x20\x00"))),
        28,
        "component[0].component[0]",
        "section 32",
    ),
}


@mark.parametrize("case", REFUSED)
def test_refused_with_offset_and_path(case: str) -> None:
    data, offset, path, message = REFUSED[case]
    with raises(DecodeError) as caught:
        decode(data)
    assert (caught.value.offset, caught.value.path) == (offset, path), caught.value
    assert message in caught.value.message


NOT_A_COMPONENT = {
    "is empty": b"",
    "core WebAssembly module": b"\0asm\1\0\0\0",
    "version and layer bytes 0c 00 01 00": b"\0asm\x0c\0\1\0",
    "bytes 0d": b"\0asm\x0d",
    "is component text": b"  (component)",
    "is not WebAssembly": b"\x7fELF\x02\x01\x01\x00",
}


@mark.parametrize("message", NOT_A_COMPONENT)
def test_not_a_component(message: str) -> None:
    with raises(InputError, match=message) as caught:
        decode(NOT_A_COMPONENT[message], "app.wasm")
    assert str(caught.value).startswith("app.wasm")


def test_a_component_is_a_component() -> None:
    check_component(PREAMBLE)


def test_nested_components_have_a_limit() -> None:
    data = PREAMBLE
    for _ in range(99):
        data = component(section(4, data, counted=False))
    assert encode(decode(data)) == data
    with raises(DecodeError, match="nested deeper than 100 levels") as caught:
        decode(component(section(4, data, counted=False)))
    assert caught.value.path.count("component[0]") == 100


def test_long_paths_and_names_are_cut_in_the_text() -> None:
    path = ".".join(["component[0]"] * 3000)
    error = DecodeError(f"the name {'x' * 9000} is taken", 7, path, "a.wasm")
    assert error.path == path and len(str(error)) < 800
    assert str(error).startswith("a.wasm: component[0].component[0].")
    assert "…" in str(error) and str(error).endswith(" is taken (at offset 0x7)")
