"""Programs that print their own variables, and what scripts call these."""

from __future__ import annotations

import random
from typing import NamedTuple


class Leaf(NamedTuple):
    """``path``: its name in what is printed; ``script``: the expression of a script."""

    path: str
    script: str


_INTS = {
    "signed char": (-128, 127), "unsigned char": (0, 255), "short": (-32768, 32767),
    "unsigned short": (0, 65535), "int": (-(1 << 31), (1 << 31) - 1),
    "unsigned": (0, (1 << 32) - 1), "long long": (-(1 << 63) + 1, (1 << 63) - 1),
    "unsigned long long": (0, (1 << 64) - 1),
}  # fmt: skip
_UNSIGNED = frozenset(name for name, (low, _) in _INTS.items() if not low)


class _Maker:
    """Declares structs, fills values and prints them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.structs: list[str] = []
        self.fills: list[str] = []
        self.prints: list[str] = []
        self.leaves: list[Leaf] = []

    def struct(self, path: str, place: str, depth: int) -> str:
        """A new struct type; ``place`` is where the program fills one in that scripts call
        ``path``."""
        name, members = f"s{len(self.structs)}", list[str]()
        self.structs.append("")  # the number is taken
        for number in range(self.rng.randint(2, 6)):
            label = f"m{number}"
            members.append(self.member(label, f"{path}.{label}", f"{place}.{label}", depth))
        text = "".join(f"  {member};\n" for member in members)
        self.structs.append(f"struct {name} {{\n{text}}};\n")
        return f"struct {name}"

    def member(self, label: str, path: str, place: str, depth: int) -> str:
        kinds = ["int"] * 4 + ["float", "text", "array", "enum", "bits", "bool"]
        kinds += ["struct", "pointer", "rows"] if depth < 3 else []
        kind = self.rng.choice(kinds)
        return getattr(self, f"_{kind}")(label, path, place, depth)  # type: ignore[no-any-return]

    def show(self, path: str, place: str, unsigned: bool, script: str = "", c: str = "") -> None:
        form, cast = ("%llu", "unsigned long long") if unsigned else ("%lld", "long long")
        self.prints.append(f'printf("{path}={form}\\n", ({cast}){c or place});')
        self.leaves.append(Leaf(path, script or f"{path}"))

    def _int(self, label: str, path: str, place: str, depth: int) -> str:
        type_ = self.rng.choice(list(_INTS))
        self._set(place, type_)
        self.show(path, place, type_ in _UNSIGNED)
        return f"{type_} {label}"

    def _set(self, place: str, type_: str) -> None:
        low, high = _INTS[type_]
        value = self.rng.choice((low, high, self.rng.randint(low, high), 0))
        self.fills.append(f"{place} = {value}{'ull' if type_ in _UNSIGNED else 'll'};")

    def _float(self, label: str, path: str, place: str, depth: int) -> str:
        type_ = self.rng.choice(("float", "double"))
        self.fills.append(f"{place} = {self.rng.randint(-4000, 4000) / 8};")
        self.show(path, place, False, f"({path} * 8.0) as i64", f"({place} * 8)")
        return f"{type_} {label}"

    def _bool(self, label: str, path: str, place: str, depth: int) -> str:
        self.fills.append(f"{place} = {self.rng.randint(0, 1)};")
        self.show(path, place, False, f"{path} as i32")
        return f"_Bool {label}"

    def _text(self, label: str, path: str, place: str, depth: int) -> str:
        value = "".join(self.rng.choices("abc xyz-", k=self.rng.randint(0, 9)))
        pointer = self.rng.random() < 0.5
        fill = f'{place} = "{value}";' if pointer else f'strcpy({place}, "{value}");'
        self.fills.append(fill)
        self.prints.append(f'printf("{path}=%s\\n", {place});')
        self.leaves.append(Leaf(path, path))
        return f"const char *{label}" if pointer else f"char {label}[10]"

    def _array(self, label: str, path: str, place: str, depth: int) -> str:
        type_, count = self.rng.choice(list(_INTS)), self.rng.randint(1, 5)
        if type_ == "signed char":
            type_ = "short"
        for number in range(count):
            self._set(f"{place}[{number}]", type_)
        at = self.rng.randrange(count)
        self.show(f"{path}[{at}]", f"{place}[{at}]", type_ in _UNSIGNED)
        self.show(f"len({path})", str(count), True)
        return f"{type_} {label}[{count}]"

    def _rows(self, label: str, path: str, place: str, depth: int) -> str:
        low, high = self.rng.randint(1, 3), self.rng.randint(1, 3)
        at = self.rng.randrange(low), self.rng.randrange(high)
        inner = self.struct(f"{path}[{at[0]}][{at[1]}]", f"{place}[{at[0]}][{at[1]}]", depth + 1)
        return f"{inner} {label}[{low}][{high}]"

    def _enum(self, label: str, path: str, place: str, depth: int) -> str:
        name = self.rng.choice(("RED", "GREEN", "BLUE"))
        self.fills.append(f"{place} = {name};")
        self.prints.append(f'printf("{path}={name}\\n");')
        self.leaves.append(Leaf(path, path))
        return f"enum color {label}"

    def _bits(self, label: str, path: str, place: str, depth: int) -> str:
        type_ = self.rng.choice(("int", "unsigned", "unsigned char", "long long"))
        bits = self.rng.randint(1, 7)
        low = 0 if type_ in _UNSIGNED else -(1 << (bits - 1))
        self.fills.append(f"{place} = {self.rng.randint(low, low + (1 << bits) - 1)};")
        self.show(path, place, type_ in _UNSIGNED)
        return f"{type_} {label} : {bits}"

    def _struct(self, label: str, path: str, place: str, depth: int) -> str:
        return f"{self.struct(path, place, depth + 1)} {label}"

    def _pointer(self, label: str, path: str, place: str, depth: int) -> str:
        inner = self.struct(path, f"(*{place})", depth + 1)
        made = f"{place} = malloc(sizeof({inner}));"
        # Before what is in it is filled.
        at = next(i for i, fill in enumerate(self.fills) if f"(*{place})" in fill)
        self.fills.insert(at, made)
        return f"{inner} *{label}"


def program(rng: random.Random) -> tuple[str, list[Leaf]]:
    """A C program whose function ``show`` prints all leaves of what ``p`` points to, and of its
    other parameters, and what scripts call them (``src.`` in front)."""
    maker = _Maker(rng)
    top = maker.struct("p", "(*p)", 0)
    # Of parameters that are narrower a compiler that optimises says nothing.
    types = [rng.choice(["int", "unsigned", "long long", "unsigned long long"]) for _ in range(3)]
    for number, type_ in enumerate(types):
        maker.show(f"a{number}", f"a{number}", type_ in _UNSIGNED)
    values = []
    for type_ in types:
        low, high = _INTS[type_]
        values.append(f"({type_}){rng.randint(low, high)}{'ull' if type_ in _UNSIGNED else 'll'}")
    params = ", ".join(f"{type_} a{number}" for number, type_ in enumerate(types))
    source = "".join([
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n",
        "enum color { RED, GREEN = 5, BLUE };\n", *maker.structs,
        f"__attribute__((noinline)) void show({top} *p, {params}) {{\n",
        *(f"  {one}\n" for one in maker.prints), "}\n",
        f"int main(void) {{\n  static {top} whole, *p = &whole;\n",
        *(f"  {one}\n" for one in maker.fills),
        f"  void (*volatile call)({top} *, {', '.join(types)}) = show;\n",
        f"  call(p, {', '.join(values)});\n}}\n",
    ])  # fmt: skip
    leaves = [Leaf(one.path, _with_src(one.script)) for one in maker.leaves]
    return source, leaves


def _with_src(script: str) -> str:
    for start in ("(p.", "len(p.", "(a"):
        if script.startswith(start):
            return script.replace("(", "(src.", 1)
    return f"src.{script}"


WORLD = """\
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum mood { SAD = -2, FINE, GLAD = 7 };
struct person {
  const char *name;
  int age;
  enum mood mood;
  struct person *friend;
  char label[16];
  const char *none;
  int row[3];
};
__attribute__((noinline)) int look(struct person *who) {
  int years = who->age + 1;
  return years + who->row[0];
}
__attribute__((noinline)) int wild(struct person *p, char *text, int *far, int at) {
  return p != 0 && text != 0 && far + at != 0;
}
__attribute__((noinline)) int long_text(char *text) { return text[0]; }
__attribute__((noinline)) int int_of(int value) { return value + 1; }
__attribute__((noinline)) double double_of(double value) { return value + 1; }
__attribute__((noinline)) int text_of(const char *value) { return value[0]; }
int main(int argc, char **argv) {
  struct person ada = {"Ada", 36, GLAD, 0, "first of all", 0, {10, 20, 30}};
  struct person bob = {"Bob", 30, SAD, &ada, "b", 0, {1, 2, 3}};
  ada.friend = &bob;
  int sum = look(&ada) + look(&bob);
  sum += wild((struct person *)0xfffffff0, (char *)0xf0000000, (int *)16, 0x3fffffff);
  char *text = malloc(20000);
  memset(text, 'x', 19999);
  text[19999] = 0;
  sum += long_text(text);
  sum += int_of(-5 * argc) + (int)double_of(2.5 * argc) + text_of(argc ? "words" : argv[0]);
  printf(sum ? "done\\n" : "nothing\\n");
  return 0;
}
"""

RUST = """\
use std::hint::black_box;
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Color { Red = 1, Green = 7 }
pub enum Shape { Dot, Circle(f64), Rect { w: u32, h: u32 } }
impl Shape {
    fn name(&self) -> &str {
        match self {
            Shape::Dot => "Dot", Shape::Circle(_) => "Circle", Shape::Rect { .. } => "Rect",
        }
    }
}
pub struct Item { id: u64, name: String, tags: Vec<u16>, color: Color, pair: (i8, i32) }
#[inline(never)]
fn show(s: &str, xs: &[i32], item: &Item, shape: &Shape, opt: Option<u32>, boxed: Box<i64>) {
    let r = if let Shape::Circle(r) = shape { *r } else { 0.0 };
    println!("{} {} {} {} {} 0 {} {} {} {} {:?} {} {} {} {:?} {} {}", s, s.len(), xs.len(), xs[0],
        xs[2], item.id, item.name, item.tags.len(), item.tags[1], item.color,
        item.color == Color::Green, item.pair.1, shape.name(), r,
        if opt.is_some() { "Some" } else { "None" }, boxed);
    if let Shape::Rect { w, h } = shape { black_box(w + h); }
}
fn main() {
    let colors = [Color::Green, Color::Red, Color::Green];
    let shapes = [Shape::Dot, Shape::Circle(2.5), Shape::Rect { w: 3, h: 4 }];
    for (i, shape) in shapes.iter().enumerate() {
        let item = Item {
            id: 1 << (40 + i), name: format!("widget {i}"), tags: vec![10, 20 + i as u16, 30],
            color: colors[i], pair: (-1, -70000 - i as i32),
        };
        let opt = if i == 1 { None } else { Some(i as u32 + 40) };
        let text = "hello".repeat(i + 1);
        show(&text, &[1, 2, 3 + i as i32], &item, shape, opt, Box::new(99 + i as i64));
    }
}
"""

ZIG = """\
const std = @import("std");
const Item = struct { id: u64, name: []const u8 };
noinline fn show(s: []const u8, xs: []const i32, item: *const Item) usize {
    std.mem.doNotOptimizeAway(s.ptr);
    std.mem.doNotOptimizeAway(xs.ptr);
    std.mem.doNotOptimizeAway(item);
    return s.len + xs.len + item.name.len;
}
pub fn main() void {
    const item = Item{ .id = 77, .name = "widget" };
    const xs = [_]i32{ 10, 20, 30 };
    std.mem.doNotOptimizeAway(show("hello", &xs, &item));
}
"""
