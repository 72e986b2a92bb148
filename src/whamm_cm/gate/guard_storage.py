"""``permissions.storage`` as functions of a script, and where they are asked.

A descriptor is known by the name it was opened with, from the name of its preopened directory on,
and by bits: 1 where the policy lets it be read and 2 written, 4 and 8 the same of all that is in
the preopened directory.  What of a name cannot be told (where ``..`` leads behind a link) is let
through where these say that it makes no difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from whamm_cm.errors import UsageError
from whamm_cm.gate.descriptors import BELOW_HANDLE, HARMLESS, ON_HANDLE
from whamm_cm.gate.guard import Function, Guard
from whamm_cm.gate.path_patterns import RARE, Reach, patterns
from whamm_cm.gate.permissions import Access, Section, StorageLine

_BITS: Mapping[Access, int] = {"read": 1, "write": 2}

_COMMON = """\
// permissions.storage
var known: map<handle, u32>;
var names: map<handle, map<str, bool>>;
var opening: map<str, bool>;
var opened: u32;
fn name_of(directory: u32) -> str {
    for name in names[directory] { return name; }
    return "";
}
// What hosts take for different things, or for none.
fn is_odd(path: str) -> bool { return path.len() > 4096 || path.matches("ODD"); }
fn is_plain(path: str) -> bool { return path.matches("^PART(/PART)*$"); }
// What is neither, as most paths are: seen at one go.
fn is_simple(path: str) -> bool { return path.matches("SIMPLE"); }
// Without empty parts and ".": "/" for a path with ".." in it, or with too much.
fn spelled(path: str) -> str {
    if (is_plain(path)) { return path; }
    if (path.len() > 1024 || path.matches("^([^/]*/){24}")) { return "/"; }
    var found: str = "";
    for i in 0..24 {
        var part: str = path.split("/", i);
        if (part == "..") { return "/"; }
        if (part != "" && part != ".") { found = found == "" ? part : found + "/" + part; }
    }
    return found;
}
// Whether a path with ".." in it stays below where it begins, links aside.
fn stays(path: str) -> bool {
    if (is_odd(path) || path.len() > 1024 || path.matches("^([^/]*/){24}")) { return false; }
    var depth: i32 = 0;
    for i in 0..24 {
        var part: str = path.split("/", i);
        if (part == "..") { depth--; } elif (part != "" && part != ".") { depth++; }
        if (depth < 0) { return false; }
    }
    return true;
}
// "" for a name that cannot be told.
fn joined(base: str, path: str) -> str {
    var simple: bool = is_simple(path);
    if (base == "" || (!simple && is_odd(path))) { return ""; }
    var rest: str = simple ? path : spelled(path);
    if (rest == "/" || base.len() + rest.len() > 4096) { return ""; }
    if (rest == "") { return base; }
    return base == "/" ? "/" + rest : base + "/" + rest;
}
fn rights_in(directory: u32, path: str) -> u32 {
    var name: str = joined(name_of(directory), path);
    if (name != "") { return rights_of(name); }
    return stays(path) ? known[directory] >> 2 : 0;
}
fn may_in(directory: u32, path: str, wanted: u32) -> bool {
    return (rights_in(directory, path) & wanted) == wanted;
}
// A path to open; it is kept until the descriptor is there.
fn may_open(directory: u32, path: str, wanted: u32) -> bool {
    var name: str = joined(name_of(directory), path);
    clear(opening);
    if (name != "") {
        opening[name] = true;
        opened = rights_of(name);
    } else {
        opened = stays(path) ? known[directory] >> 2 : 0;
    }
    opened = opened | known[directory] & 12;
    return (opened & wanted) == wanted;
}
fn listed(directory: u32, name: str) {
    var plain: str = joined("/", name.starts_with("/") ? name.slice(1, name.len() as i32) : name);
    delete(names[directory]);
    if (plain == "") { delete(known[directory]); return; }
    names[directory][plain] = true;
    known[directory] = rights_of(plain);
    known[directory] = known[directory] | (known[directory] & all_below(plain)) << 2;
}
"""
_MOVING = """\
// rights, all and some of what is below, and those of the whole preopened directory, two bits each.
fn shape(directory: u32, path: str) -> u32 {
    var free: u32 = known[directory] >> 2;
    var name: str = joined(name_of(directory), path);
    if (name == "") { return stays(path) && free == 3 ? 255 : 0; }
    return rights_of(name) | all_below(name) << 2 | some_below(name) << 4 | free << 6;
}
// What goes from one name to another must not be allowed more there.  Links that the program made
// are where all is allowed, and stay there.
fn may_link(from: u32, to: u32) -> bool {
    return (from & 1) != 0 && (to & 2) != 0 && (to & 3 & ~from) == 0
        && ((from >> 6) != 3 || (to >> 6) == 3);
}
// A directory takes along what is below it, and descriptors keep their names.
fn may_move(from: u32, to: u32) -> bool {
    return (from & to & 2) != 0 && (to & 3 & ~from) == 0 && ((from ^ to) & 12) == 0
        && ((from | to) >> 4 & ~(from >> 2) & 3) == 0 && ((from >> 6) != 3 || (to >> 6) == 3);
}
fn may_point(directory: u32, target: str, path: str) -> bool {
    return known[directory] >> 2 == 3 && may_in(directory, path, 2)
        && !is_odd(target) && !target.matches("(^|/)[.][.](/|$)");
}
"""
_PART = r"([^./][^/]*|[.][^./][^/]*|[.][.][^/]+)"
_SIMPLE = _PART.replace("/]", r"/\0\\]")
#: Of ASCII alone, where a line denies.
_ASCII = _PART.replace("[^/]", "[\1-.0-\\[\\]-\x7f]").replace("[^./]", "[\1-\\-0-\\[\\]-\x7f]")

#: What has to hold for functions that are not of one path of one descriptor, and what the line
#: shows.
_ASKED = {
    "link-at": (
        '(!(arg1 has "symlink-follow") && may_link(from, shape(handle(arg3), arg4)))', "arg4",
        "var from: u32 = shape(handle(arg0), arg2);"),
    "rename-at": (
        "may_move(from, shape(handle(arg2), arg3))", "arg3",
        "var from: u32 = shape(handle(arg0), arg1);"),
    "symlink-at": ("may_point(handle(arg0), arg1, arg2)", "arg2", ""),
    "open-at": (
        "may_open(handle(arg0), arg2, wanted)", "arg2",
        'var writes: bool = arg4 has "write" || arg4 has "mutate-directory"'
        ' || arg3 has "create" || arg3 has "truncate";\n'
        '    var wanted: u32 = (writes ? 2 : 0) | (!writes || arg4 has "read" ? 1 : 0);'),
}  # fmt: skip
#: Functions whose path comes behind flags; of all others it is the first argument.
_FLAGGED = ("stat-at", "metadata-hash-at", "set-times-at")
_OPENED = (
    "if (result is ok) { known[handle(result.ok)] = opened; delete(names[handle(result.ok)]);"
    " for name in opening { names[handle(result.ok)][name] = true; } }"
)
_LISTED = "for one in result { listed(handle(one.0), one.1); }"
#: Functions of these interfaces that are about no file.
_OTHERS = (
    "directory-entry-stream.read-directory-entry",
    "filesystem-error-code",
    "get-directories",
)
_JUDGED = ("wasi:filesystem/types", "wasi:filesystem/preopens")


def functions(section: Section[StorageLine]) -> str:
    """The part that is the same at all functions, with the lines of the policy in it."""
    odd = r"^/|[\0\\]" + (f"|{'|'.join(RARE)}" if section.deny else "")
    simple = _ASCII if section.deny else _SIMPLE
    parts = [
        _function("rights_of", section, "at", "at"),
        _function("all_below", section, "whole", "below"),
        _function("some_below", section, "below", "whole"),
        _COMMON.replace("PART", _PART)
        .replace('"ODD"', pattern(odd))
        .replace('"SIMPLE"', pattern(f"^{simple}(/{simple})*$")),
        _MOVING,
    ]
    return "\n".join(parts)


def _function(name: str, section: Section[StorageLine], allow: Reach, deny: Reach) -> str:
    lines = [f"    var bits: u32 = {0 if section.allow is not None else 3};"]
    for given, reach, denied, change in (
        (section.allow or (), allow, False, "bits | {}"), (section.deny, deny, True, "bits & ~{}")
    ):  # fmt: skip
        for bits in (1, 2, 3):
            about = [one for one in given if sum(_BITS[a] for a in set(one.access)) == bits]
            for test in patterns(about, reach, denied):
                lines.append(
                    f"    if (name.matches({pattern(test)})) {{ bits = {change.format(bits)}; }}"
                )
    return "\n".join((f"fn {name}(name: str) -> u32 {{", *lines, "    return bits;", "}"))


def pattern(text: str) -> str:
    """A regular expression as a string of the language."""
    return '"' + "".join(_character(ch) for ch in text) + '"'


def _character(ch: str) -> str:
    if ch in '"\\':
        return f"\\{ch}"
    return ch if " " <= ch <= "~" else f"\\u{{{ord(ch):x}}}"


def add_storage(guard: Guard, section: Section[StorageLine], called: Iterable[Function]) -> None:
    """Ask where the program opens, reads, changes and names files.

    Raises UsageError where a function of these interfaces is of a release that is not known here.
    """
    why = f"{os.path.basename(section.location.file)}:{section.location.line}: permissions.storage"
    found = [one for one in called if one.names[0][0].startswith("wasi:filesystem/")]
    for one in found:
        _check_known(one, section)
    if not found:
        return
    guard.needs(functions(section))
    for one in found:
        func = one.names[0][2]
        method = func.removeprefix("descriptor.")
        if method in _ASKED:
            condition, value, setup = _ASKED[method]
            guard.ask(one, condition, why, value, setup)
        elif method in BELOW_HANDLE:
            ((_, _, access),) = BELOW_HANDLE[method]
            place = f"arg{2 if method in _FLAGGED else 1}"
            guard.ask(one, f"may_in(handle(arg0), {place}, {_BITS[access]})", why, place)
        elif method in ON_HANDLE:
            bit = _BITS[ON_HANDLE[method]]
            guard.ask(one, f"(known[handle(arg0)] & {bit}) != 0", why, "name_of(handle(arg0))")
        if method == "open-at":
            guard.keep(one, _OPENED)
        if func == "get-directories":
            guard.keep(one, _LISTED)


_KNOWN: Sequence[str] = (
    *_OTHERS, *(f"descriptor.{one}" for one in (*ON_HANDLE, *BELOW_HANDLE, *HARMLESS)),
)  # fmt: skip


def _check_known(one: Function, section: Section[StorageLine]) -> None:
    interface, version, func = one.names[0]
    if interface not in _JUDGED or version is None or not version.startswith("0.2."):
        raise UsageError(
            f"{section.location}: enforce holds permissions.storage for files of WASI 0.2, and the"
            f" component calls {one.title}"
        )
    if func not in _KNOWN:
        raise UsageError(f"{section.location}: what {one.title} does to files is not known")
