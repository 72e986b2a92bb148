"""Whatever the bytes are, decoding ends soon, in a component or in an InputError.

Longer runs: WHAMM_FUZZ=100000 WHAMM_FUZZ_CORPUS=DIR pytest tests/wasm/test_fuzz.py -k mutated
mutates that many times the components of DIR instead of the samples.
"""

from __future__ import annotations

import os
import random
import tracemalloc
from array import array
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import fixture, mark, raises

from tests.component.component_samples import PREAMBLE, SAMPLES, sample, section
from tests.steps import no_endless_loop
from whamm_cm.component.check import check
from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import walk
from whamm_cm.errors import DecodeError, InputError
from whamm_cm.wasm.leb import unsigned
from whamm_cm.wasm.module import CoreModule

CASES = int(os.environ.get("WHAMM_FUZZ", "3000"))
CORPUS = os.environ.get("WHAMM_FUZZ_CORPUS", "")
_LARGEST = 200_000
_BYTES = (0, 1, 2, 0x3F, 0x40, 0x41, 0x42, 0x50, 0x7F, 0x80, 0xFF)
_INTEGERS = (b"\x80\x80\x80\x80\x00", b"\xff\xff\xff\xff\x0f", b"\xff\xff\x03", b"\x80\x00")


def attempt(data: bytes) -> bool:
    """Decode ``data`` and, if that works, hold the result to what every result must keep."""
    try:
        with no_endless_loop():
            component = decode(data)
    except DecodeError as fault:
        assert 0 <= fault.offset <= len(data)
        return False
    except InputError:
        return False
    assert encode(component) == data
    check(component)
    return True


def outside_of_modules(data: bytes) -> array[int]:
    """The positions that are not in a core module."""
    kept = bytearray(b"\1") * len(data)
    for component in walk(decode(data)):
        for definition in component.definitions:
            if isinstance(definition.node, CoreModule):
                start, size = definition.node.offset, len(definition.node.data)
                kept[start : start + size] = bytes(size)
    return array("I", (at for at, keep in enumerate(kept) if keep))


@cache
def seeds() -> tuple[tuple[bytes, array[int]], ...]:
    if CORPUS:
        files = sorted(Path(CORPUS).glob("*.wasm"))
        found = [path.read_bytes() for path in files if path.stat().st_size <= _LARGEST]
    else:
        found = [sample(which) for which in SAMPLES]
    usable = []
    for data in found:
        try:
            usable.append((data, outside_of_modules(data)))
        except InputError:
            continue  # components of a corpus may be outdated; samples are tested elsewhere
    return tuple(usable)


def mutate(dice: random.Random, data: bytearray, places: array[int]) -> None:
    """One change of ``data``, at one of ``places`` if these still exist."""
    at = min(dice.choice(places), len(data))
    kind = dice.randrange(8)
    if kind == 0:
        data[at : at + 1] = bytes((dice.choice(_BYTES),))
    elif kind == 1 and at < len(data):
        data[at] ^= 1 << dice.randrange(8)
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + dice.randint(1, 8)]
    elif kind == 4:
        data[at:at] = dice.randbytes(dice.randint(1, 4))
    elif kind == 5:
        data[at : at + dice.choice((0, 1))] = dice.choice(_INTEGERS)
    elif kind == 6:
        start = dice.choice(places)
        data[at:at] = data[start : start + dice.randint(1, 40)]
    else:
        other, others = dice.choice(seeds())
        start = dice.choice(others)
        data[at : at + dice.choice((0, 20))] = other[start : start + dice.randint(1, 60)]


def test_mutated_components() -> None:
    dice = random.Random(47)
    accepted = 0
    for _ in range(CASES):
        original, places = dice.choice(seeds())
        data = bytearray(original)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            mutate(dice, data, places)
        accepted += attempt(bytes(data))
    print(f"{CASES} cases, {accepted} of them still components")
    assert accepted > CASES // 50, "nearly nothing passes: the cases are too wild to test much"


@mark.parametrize("which", SAMPLES)
def test_every_truncation(which: str) -> None:
    data = sample(which)
    for size in range(len(data)):
        attempt(data[:size])


@given(st.lists(st.tuples(st.integers(0, 13), st.binary(max_size=40)), max_size=4))
@settings(max_examples=250, deadline=None)
def test_any_sections(sections: list[tuple[int, bytes]]) -> None:
    attempt(PREAMBLE + b"".join(section(n, body, counted=False) for n, body in sections))


@given(st.sampled_from((2, 3, 5, 6, 7, 8, 10, 11, 12)), st.lists(st.binary(max_size=12)))
@settings(max_examples=250, deadline=None)
def test_any_definitions(number: int, entries: list[bytes]) -> None:
    """Behind a component with one item of nearly every sort, so that indices lead somewhere."""
    attempt(sample("instances") + section(number, *entries))


@given(st.binary(max_size=100))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    attempt(data)
    attempt(PREAMBLE + data)


def nested_components(levels: int) -> bytes:
    sizes, size = [], 8
    for _ in range(levels - 1):
        sizes.append(size)
        size += 9 + len(unsigned(size))
    return b"".join(PREAMBLE + b"\x04" + unsigned(size) for size in reversed(sizes)) + PREAMBLE


DEEP = {
    "components": nested_components(10_000),
    "component types": PREAMBLE + section(7, b"\x41\x01\x01" * 10_000 + b"\x7d"),
    "instance types": PREAMBLE + section(7, b"\x42\x01\x01" * 10_000 + b"\x7d"),
    "types and core types": PREAMBLE + section(7, b"\x41\x01\x00\x50\x01\x01" + b"\x50" * 10_000),
    "types in components": nested_components(90)[:-8]
    + PREAMBLE
    + section(7, b"\x42\x01\x01" * 10_000 + b"\x7d"),
}


@mark.parametrize("case", DEEP)
def test_depth(case: str) -> None:
    assert not attempt(DEEP[case])


def test_depth_is_refused_with_a_path() -> None:
    with raises(DecodeError, match="components are nested deeper than 100 levels") as caught:
        decode(DEEP["components"])
    assert caught.value.path.count("component[0]") == 100
    with raises(DecodeError, match="types are nested deeper than 100 levels") as caught:
        decode(DEEP["component types"])
    assert caught.value.path.startswith("type[0].decl[0].decl[0]")


_HUGE = b"\xff\xff\xff\xff\x0f"
COUNTS = {
    **{f"section {n}": PREAMBLE + bytes((n, 5)) + _HUGE for n in (2, 3, 5, 6, 7, 8, 10, 11, 12)},
    "size": PREAMBLE + b"\x07" + _HUGE,
    "start arguments": sample("instances") + section(9, b"\x00" + _HUGE, counted=False),
    "start results": sample("instances") + section(9, b"\x00\x00" + _HUGE, counted=False),
    "fields": PREAMBLE + section(7, b"\x72" + _HUGE),
    "declarations": PREAMBLE + section(7, b"\x41" + _HUGE),
    "recursion group": PREAMBLE + section(3, b"\x4e" + _HUGE),
    "parameters": PREAMBLE + section(3, b"\x60" + _HUGE),
    "outer count": PREAMBLE + section(6, b"\x03\x02" + _HUGE + b"\x00"),
    "name": PREAMBLE + section(10, b"\x00" + _HUGE + b"a"),
    "attributes": PREAMBLE + section(10, b"\x02\x01a" + _HUGE),
}


@mark.parametrize("case", COUNTS)
def test_announced_but_not_there(case: str) -> None:
    assert not attempt(COUNTS[case])


@fixture
def memory():
    """A function that says how many bytes were in use at most since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


_MANY_TYPES = PREAMBLE + section(7, *[b"\x7d"] * 5_000)
_ROWS = unsigned(5_000) + b"\x80\x00\x00" * 5_000
_ONE_RESULT = section(7, b"\x40\x00\x00\x7d") + section(10, b"\x00\x01f\x01\x00")
#: Inputs that cost much more than their size where each entry costs what others have cost before.
MANY = {
    "types": _MANY_TYPES,
    "sections": PREAMBLE + section(7, b"\x7d") * 3_000,
    "nested components": _MANY_TYPES + section(4, PREAMBLE, counted=False) * 2_000,
    "start functions": PREAMBLE + _ONE_RESULT + b"\x09\x03\x00\x00\x01" * 3_000,
    "canons": PREAMBLE + section(3, b"\x60\x00\x00") + section(8, *[b"\x40\x00"] * 2_000) * 2,
    "recursion group": PREAMBLE + section(3, b"\x4e" + unsigned(5_000) + b"\x5f\x00" * 5_000),
    "types in types": PREAMBLE
    + section(7, b"\x42\x01\x01" * 90 + b"\x42" + unsigned(3_000) + b"\x01\x7d" * 3_000),
    "names": _MANY_TYPES
    + section(0, b"\x0ecomponent-name" + section(1, b"\x03" + _ROWS, counted=False), counted=False),
}


@mark.parametrize("case", MANY)
def test_many_of_something(case: str, memory) -> None:
    data = MANY[case]
    assert attempt(data)
    assert memory() < 1_500 * len(data)
