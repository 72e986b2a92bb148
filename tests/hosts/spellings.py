"""Names under which a component may ask for one interface, and how three hosts take each.

A component calls the one function of its one import: a host that runs it to its end has linked the
stock implementation, for nothing else could have answered.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import wasmtime
from wasmtime.component import Component, Linker

from tests.gate.binaries import FUNCTION, INSTANCE, extern, importing_as
from tests.hosts import manifest_cases
from tests.hosts.operator import Host, request_of, wash_host
from tests.hosts.rig import DEADLINE
from tests.hosts.tools import need
from tests.registry.server import registry
from whamm_cm.run.engine import run_engine

#: The interface that is asked for, its function, and one that is harmless.
RANDOM, CALL, POLL = "wasi:random/random", "get-random-u64", "wasi:io/poll@0.2.0"
RUN = "wasi:cli/run@0.2.0"
#: One that wash gives under a label that an entry of the manifest has; and its version.
STORE, STORE_VERSION = "wasi:keyvalue/store", "0.2.0-draft"
_OF_STORE = "{namespace: wasi, package: keyvalue, interfaces: [store]"
ENTRIES = f"[{_OF_STORE}}}, {_OF_STORE}, name: net}}, {_OF_STORE}, name: store}}]"
LINKED, REFUSED, CRASHED = "linked", "refused", "crashes"
#: The host says that it runs, and could not call it.
STARTED = "starts"


@dataclass(frozen=True, slots=True)
class Spelling:
    """``name`` and ``attributes`` are patterns: ``{i}`` the interface, ``{p}`` its package, ``{n}``
    its own name, ``{o}`` the harmless one, ``{l}`` with a look-alike letter; capitals in capitals.
    """

    what: str
    name: str
    attributes: tuple[tuple[str, str], ...] | None = None
    kind: bytes = INSTANCE
    form: int = 0

    def written(self, interface: str = RANDOM) -> tuple[str, list[tuple[str, str]] | None]:
        """Its name and its attributes."""
        package, _, own = interface.partition("/")
        known = {"i": interface, "p": package, "n": own, "o": POLL, "C": own.capitalize()}
        known |= {"P": package.upper(), "N": own.upper(), "l": interface.replace("a", "\u0430", 1)}

        def fill(text: str) -> str:
            if interface == STORE:
                text = re.sub(r"0\.2\.0", STORE_VERSION, text)
            return re.sub(r"\{(\w)\}", lambda match: known[match[1]], text)

        attributes = self.attributes
        filled = None if attributes is None else [(key, fill(text)) for key, text in attributes]
        return fill(self.name), filled

    def row(self, interface: str) -> bytes:
        return extern(*self.written(interface), self.form) + self.kind

    def component(self, interface: str = RANDOM) -> bytes:
        """A command that asks for it and calls its function; the store is only asked for."""
        if interface == STORE and self.kind == INSTANCE:
            return importing_as(
                self.row(interface),
                f"(component {manifest_cases.STORE_IMPORT} {manifest_cases.RUN})",
            )
        instance = f'(instance $i (export "{CALL}" (func (result u64))))'
        alias = f'(alias export $i "{CALL}" (func $f))'
        whole = self.kind == INSTANCE
        asked, more = (instance, alias) if whole else ("(func $f (result u64))", "")
        return importing_as(self.row(interface), _COMMAND.format(asked=asked, more=more))


_COMMAND = f"""(component
  (import "x:y/z" {{asked}}) {{more}}
  (core func $c (canon lower (func $f)))
  (core module $m (import "" "f" (func $f (result i64)))
    (func (export "run") (result i32) (drop (call $f)) (i32.const 0)))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $c))))))
  (func $run (result (result)) (canon lift (core func $m "run")))
  (component $r (import "f" (func $g (result (result)))) (export "run" (func $g)))
  (instance $r (instantiate $r (with "f" (func $run))))
  (export "{RUN}" (instance $r)))"""


def _claims(*texts: str) -> tuple[tuple[str, str], ...]:
    return tuple(("implements", text) for text in texts)


def _suffix(*texts: str) -> tuple[tuple[str, str], ...]:
    return tuple(("versionsuffix", text) for text in texts)


_HASH = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

SPELLINGS = (
    Spelling("as hosts name it", "{i}@0.2.0"),
    Spelling("in the encoding of old tools", "{i}@0.2.0", form=1),
    Spelling("with an empty list of attributes", "{i}@0.2.0", ()),
    Spelling("newer by a patch", "{i}@0.2.5"),
    Spelling("newer than any release", "{i}@0.2.99"),
    Spelling("the track before", "{i}@0.1.0"),
    Spelling("the track after", "{i}@0.3.0"),
    Spelling("a far track", "{i}@1.0.0"),
    Spelling("release candidate", "{i}@0.2.0-rc-2023-11-10"),
    Spelling("release candidate of a patch", "{i}@0.2.1-rc.1"),
    Spelling("draft", "{i}@0.2.0-draft"),
    Spelling("release candidate of the next track", "{i}@0.3.0-rc-2026-01-06"),
    Spelling("build metadata", "{i}@0.2.0+evil"),
    Spelling("build metadata of a patch", "{i}@0.2.3+build.7"),
    Spelling("release candidate with build metadata", "{i}@0.2.0-rc.1+b"),
    Spelling("no version", "{i}"),
    Spelling("short version", "{i}@0.2"),
    Spelling("version of one number", "{i}@0"),
    Spelling("version with zeros in front", "{i}@0.02.0"),
    Spelling("version with a v", "{i}@v0.2.0"),
    Spelling("version behind a caret", "{i}@^0.2.0"),
    Spelling("any version", "{i}@*"),
    Spelling("empty version", "{i}@"),
    Spelling("two versions", "{i}@0.2.0@0.2.0"),
    Spelling("version behind the package", "{p}@0.2.0/{n}"),
    Spelling("the interface in capitals", "{p}/{N}@0.2.0"),
    Spelling("the namespace in capitals", "{P}/{n}@0.2.0"),
    Spelling("one capital letter", "{p}/{C}@0.2.0"),
    Spelling("label", "net", _claims("{i}@0.2.0")),
    Spelling("label, newer by a patch", "net", _claims("{i}@0.2.5")),
    Spelling("label, no version", "net", _claims("{i}")),
    Spelling("label, release candidate", "net", _claims("{i}@0.2.0-rc.1")),
    Spelling("label, in capitals", "net", _claims("{P}/{n}@0.2.0")),
    Spelling("label that claims to be a label", "net", _claims("{n}")),
    Spelling("label called like the interface", "{n}", _claims("{i}@0.2.0")),
    Spelling("label without a claim", "{n}"),
    Spelling("label with a claim and a suffix", "net", (*_claims("{i}@0.2"), *_suffix(".0"))),
    Spelling("claims a harmless one", "{i}@0.2.0", _claims("{o}")),
    Spelling("harmless, claims to be it", "{o}", _claims("{i}@0.2.0")),
    Spelling("claims to be itself", "{i}@0.2.0", _claims("{i}@0.2.0")),
    Spelling("claims two, it last", "net", _claims("{o}", "{i}@0.2.0")),
    Spelling("claims two, it first", "net", _claims("{i}@0.2.0", "{o}")),
    Spelling("claims it twice", "net", _claims("{i}@0.2.0", "{i}@0.2.0")),
    Spelling("old spelling of a claim", "[implements=<{i}@0.2.0>]net"),
    Spelling("old spelling, no version", "[implements=<{i}>]net"),
    Spelling("old spelling, claims a harmless one", "[implements=<{o}>]net", _claims("{i}@0.2.0")),
    Spelling("version suffix", "{i}@0.2", _suffix(".0")),
    Spelling("version suffix of a newer patch", "{i}@0.2", _suffix(".5")),
    Spelling("version suffix behind one number", "{i}@0", _suffix(".2.0")),
    Spelling("version suffix behind a whole version", "{i}@0.2.0", _suffix(".0")),
    Spelling("version suffix that is a path", "{i}@0.2.0", _suffix("x/../../")),
    Spelling("version suffix with the @", "{i}", _suffix("@0.2.0")),
    Spelling("version suffix that makes a release candidate", "{i}@0.2.0", _suffix("-rc.1")),
    Spelling("two version suffixes", "{i}@0.2", _suffix(".0", ".0")),
    Spelling("external id", "{o}", (("external-id", "{i}@0.2.0"),)),
    Spelling("external id of a harmless one", "{i}@0.2.0", (("external-id", "{o}"),)),
    Spelling("function", "{i}@0.2.0", kind=FUNCTION),
    Spelling("function, by a label", "{n}", kind=FUNCTION),
    Spelling("function that is async by name", "[async]{n}", kind=FUNCTION),
    Spelling("unlocked dependency", "unlocked-dep=<{p}@{>=0.2.0}>"),
    Spelling("unlocked dependency, any version", "unlocked-dep=<{p}>"),
    Spelling("unlocked dependency on the interface", "unlocked-dep=<{i}@{>=0.2.0}>"),
    Spelling("locked dependency", "locked-dep=<{p}@0.2.0>"),
    Spelling("URL", "url=<https://x.example/{p}>"),
    Spelling("URL with a hash", "url=<https://x.example/{i}>,integrity=<" + _HASH + ">"),
    Spelling("hash", "integrity=<" + _HASH + ">"),
    Spelling("Cyrillic a", "{l}@0.2.0"),
    Spelling("invisible space", "{i}\u200b@0.2.0"),
    Spelling("right to left", "\u202e{i}@0.2.0"),
    Spelling("newline behind", "{i}@0.2.0\n"),
    Spelling("behind a newline", "{o}\n{i}@0.2.0"),
    Spelling("NUL behind", "{i}@0.2.0\0"),
    Spelling("behind a NUL", "{o}\0{i}@0.2.0"),
    Spelling("space in front", " {i}@0.2.0"),
    Spelling("escape sequence", "\x1b[2J{i}@0.2.0"),
    Spelling("two slashes", "{p}//{n}@0.2.0"),
    Spelling("backslash", "{p}\\{n}@0.2.0"),
    Spelling("percent sign", "{p}%2f{n}@0.2.0"),
    Spelling("through a parent folder", "{p}/../{i}@0.2.0"),
    Spelling("hash sign", "{i}#f@0.2.0"),
    Spelling("only the package", "{p}@0.2.0"),
    Spelling("nested name", "{i}/{n}@0.2.0"),
    Spelling("nothing", ""),
)  # fmt: skip


# --- what hosts do with them -------------------------------------------------------------------


def wasmtime_cli(files: Sequence[Path]) -> list[str]:
    """``wasmtime run``, with labels switched on."""
    (program,) = need("wasmtime")
    command = (program, "run", "-W", "component-model-implements=y", "-S", "p3=y")
    return [
        LINKED
        if subprocess.run((*command, path), capture_output=True, timeout=DEADLINE).returncode == 0
        else REFUSED
        for path in files
    ]


def embedded(files: Sequence[Path]) -> list[str]:
    """The engine of ``whamm-cm trace``, with all features that it switches on."""
    return [_embedded(path.read_bytes()) for path in files]


def _embedded(data: bytes) -> str:
    engine = run_engine(cache=False)
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    store.set_epoch_deadline(1)
    linker = Linker(engine)
    linker.add_wasip2()
    try:
        instance = linker.instantiate(store, Component(engine, data))
    except (wasmtime.WasmtimeError, UnicodeError):
        return REFUSED
    commands = instance.get_export_index(store, RUN)
    run = instance.get_func(store, instance.get_export_index(store, "run", commands))
    assert run is not None
    run(store)
    return LINKED


def wash(files: Sequence[Path]) -> list[str]:
    """Services of ``wash host``; a host that ends is started anew."""
    return _wash(files, "[]")


def wash_entries(files: Sequence[Path]) -> list[str]:
    """The same with entries for the store: one without a name, and one for each label."""
    return _wash(files, ENTRIES)


def _wash(files: Sequence[Path], entries: str) -> list[str]:
    images = {f"{number}:1": path.read_bytes() for number, path in enumerate(files)}
    found: list[str] = []
    with registry(images) as address:
        while len(found) < len(files):
            with wash_host(files[0].parent) as host:
                for number in range(len(found), len(files)):
                    found.append(_served(host, f"{address}/{number}:1", entries))
                    if found[-1] == CRASHED:
                        break
    return found


def _served(host: Host, image: str, entries: str) -> str:
    manifest = f"spec: {{service: {{name: s}}, hostInterfaces: {entries}}}"
    before = len(host.program.text)
    try:
        name, fault = host.start(request_of(manifest, {"service": image}))
    except ConnectionError:
        return CRASHED
    if fault:
        return REFUSED
    # "Running" says little: what imports WASI 0.3 is found unfit only when it is to be called.
    end = host.program.expect(
        rf"(?s)\A.{{{before}}}.*?service (exited successfully|did not properly)"
    )
    host.stop(name)
    return LINKED if end[1].startswith("exited") else STARTED


#: Column of the table → the interface that is asked for, and who is asked.
RUNNERS: dict[str, tuple[str, Callable[[Sequence[Path]], list[str]]]] = {
    "wasmtime 49": (RANDOM, wasmtime_cli),
    "wasmtime 50": (RANDOM, embedded),
    "wash 2.10": (RANDOM, wash),
    "wash 2.10, store": (STORE, wash_entries),
}
