"""whamm's own suites on whamm-cm: a table of what is equal, and why the rest is not.

    python -m tests.corpus_whamm [-k WORD] [-v] DIR

DIR holds the sources of a whamm (its crate, unpacked): scripts with what they must print in
``tests/scripts/SUITE/GROUP/NAME.mm``, ``…/expected/rewriting/NAME.mm.exp`` (or ``.err``: what whamm
says of them) with ``…/app/NAME.mm.app`` and ``…/libs/NAME.mm.libs``, and ``tests/wast_suite`` with
modules, scripts in comments behind ``WHAMM -->``, and assertions.

A report is compared line by line, all columns but ``id``, which is where whamm keeps the value.
What whamm refuses has to be refused, in whatever words.  Whatever differs needs one of the known
reasons (``REASONS``), which docs/whamm.md explains.  Prints a line for each case (``-v``: also what
differs) and counts; exits 1 where a reason is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path

import wasmtime

from tests.wast_driver.script import commands
from tests.wast_driver.sexpr import Atom, Form, Str
from whamm_cm.cli.main import main as whamm_cm
from whamm_cm.errors import WhammError
from whamm_cm.front.settings import Settings
from whamm_cm.front.woven import weave

#: Name of the suite of assertions in the table.
WAST = "wast_suite"
EQUAL = "equal"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Case:
    """``expected``: what is to be printed, None where only an error is to come; ``error``: what
    whamm says, "" nothing.  Of an assertion ``text`` is the script and ``wast`` what is around."""

    suite: str
    name: str
    text: str
    expected: str | None = None
    error: str = ""
    script: Path = Path()
    app: Path = Path()
    libs: tuple[str, ...] = ()
    wast: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a case: ``verdict`` is ``equal`` or the name of a reason."""

    case: Case
    verdict: str
    detail: str = ""


# --- the cases -----------------------------------------------------------------------------------


def goldens(root: Path) -> Iterator[Case]:
    """Scripts with what they must print under whamm's rewriting, by suite and group."""
    for script in sorted((root / "tests" / "scripts").glob("*/*/*.mm")):
        known = script.parent / "expected" / "rewriting" / script.name
        expected, error = (_text(known.with_name(script.name + end)) for end in (".exp", ".err"))
        if expected is None and error is None:
            continue  # for Wizard only
        app = _text(script.parent / "app" / f"{script.name}.app") or ""
        libs = _text(script.parent / "libs" / f"{script.name}.libs") or ""
        yield Case(
            script.parts[-3], f"{script.parent.name}/{script.stem}",
            script.read_text("utf-8", "surrogateescape"), expected, error or "",
            script, root / app.strip(), tuple(_absolute(root, line) for line in libs.split()),
        )  # fmt: skip


def _text(path: Path) -> str | None:
    return path.read_text("utf-8", "surrogateescape") if path.exists() else None


def _absolute(root: Path, library: str) -> str:
    name, _, path = library.partition("=")
    return f"{name}={root / path}"


def assertions(root: Path) -> Iterator[Case]:
    """One case for each script in a file of assertions, and those behind it."""
    for path in sorted((root / "tests" / WAST).rglob("*.wast")):
        around, *scripts = re.split(r"(?m)^;; WHAMM --> ", path.read_text("utf-8"))
        name = str(path.relative_to(root / "tests" / WAST).with_suffix(""))
        for number, text in enumerate(scripts):
            script, _, rest = text.partition("\n")
            yield Case(WAST, f"{name}/{number}", script, rest, wast=around)


# --- running them --------------------------------------------------------------------------------


def printed(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Status, standard output and error of a ``whamm-cm`` command, in this process."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+b")) for _ in range(2)]
        texts = [
            stack.enter_context(open(f.fileno(), "w", encoding="utf-8", closefd=False))
            for f in files
        ]
        for number, file in enumerate(files, 1):
            kept = os.dup(number)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        with redirect_stdout(texts[0]), redirect_stderr(texts[1]):
            status = whamm_cm(list(arguments))
        for text in texts:
            text.close()
        for file in files:
            file.seek(0)
        out, err = (file.read().decode("utf-8", "replace") for file in files)
        return status, out, err


def run_golden(case: Case) -> Found:
    words = ["trace", "-q", "--stub-imports", "--compat", "whamm", "-s", str(case.script)]
    words += [word for lib in case.libs for word in ("--lib", lib)]
    status, out, err = printed([*words, str(case.app)])
    if status in (2, 3, 4):  # nothing ran
        if case.expected is None and status != 4:
            return Found(case, EQUAL, err)
        return Found(case, reason(case, err), err)
    if case.expected is None:
        return Found(case, reason(case, ""), f"whamm: {case.error}")
    ours, theirs = (_comparable(text) for text in (out, case.expected))
    if ours == theirs and not err.strip():
        return Found(case, EQUAL)
    diff = "\n".join(unified_diff(theirs, ours, "whamm", "whamm-cm", lineterm="", n=1))
    return Found(case, reason(case, diff), diff + err)


_ID = re.compile(r"^(?:\d+|\([\d; ]+\)), (?=\(?(?:memaddr|global_id|map_id))")


def _comparable(text: str) -> list[str]:
    return [_ID.sub("", line.rstrip()) for line in text.strip().splitlines()]


class Mismatch(Exception):
    """An assertion that does not hold, or cannot be made."""


def run_assertions(case: Case) -> Found:
    try:
        _assert(case)
    except (Mismatch, WhammError, wasmtime.WasmtimeError) as error:
        return Found(case, reason(case, str(error)), f"{case.text}\n{error}")
    return Found(case, EQUAL)


def _assert(case: Case) -> None:
    """The modules that are set up, the one that is woven, and the assertions about that."""
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    engine = wasmtime.Engine(config)
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    last: wasmtime.Instance | None = None
    for command in commands(case.wast):
        if command.head == "module":
            data = bytes(wasmtime.wat2wasm(command.text))
            if ";; @instrument" in case.wast[: case.wast.index(command.text)]:
                settings = Settings(scripts=(("script0", case.text),), compat=True)
                data = weave(data, settings, "module").bytes
            last = linker.instantiate(store, wasmtime.Module(engine, data))
        elif command.head == "register" and last is not None:
            name = command.form.items[1]
            assert isinstance(name, Str)
            linker.define_instance(store, name.data.decode(), last)
    assert last is not None
    for command in commands(case.expected or ""):
        _hold(command.form, command.text, last, store)


def _hold(form: Form, text: str, instance: wasmtime.Instance, store: wasmtime.Store) -> None:
    """One ``(assert_return (invoke "name") (i32.const 1))``."""
    if form.head != "assert_return":
        raise Mismatch(f"{text}: no such assertion here")
    call, *values = form.items[1:]
    assert isinstance(call, Form)
    name = call.items[1]
    assert isinstance(name, Str) and len(call.items) == 2 and len(values) < 2
    func = instance.exports(store).get(name.data.decode())
    if not isinstance(func, wasmtime.Func):
        raise Mismatch(f"{text}: there is no such export")
    found = func(store)
    for value in values:
        assert isinstance(value, Form)
        number = value.items[1]
        assert isinstance(number, Atom)
        if found != int(number.text, 0):
            raise Mismatch(f"{text}: {found}")


# --- reasons -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something differs: where ``error`` is found in what whamm says, ``script`` in the text of
    the script and ``found`` in what is different (or in our error)."""

    name: str
    error: str = ""
    script: str = ""
    found: str = ""

    def fits(self, case: Case, found: str) -> bool:
        pairs = ((self.error, case.error), (self.script, case.text), (self.found, found))
        return all(re.search(pattern, text) for pattern, text in pairs)


#: Names are explained in docs/whamm.md.
REASONS = (
    Reason("works here", error=r"nested too deeply|collides with the|^cannot determine the type of"
           r"|would match a `V128|string that was not emitted|not resolved to a concrete type"
           r"|empty-tuple type|Maps with `str` values|memory has not been imported"),
    Reason("drop, select", error="cannot apply probe to the `(drop|select)`"),
    Reason("alt of else", script="wasm:opcode:else:alt"),
)  # fmt: skip


def reason(case: Case, found: str) -> str:
    return next((each.name for each in REASONS if each.fits(case, found)), UNKNOWN)


# --- the table -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Table:
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, found: Found, verbose: bool) -> None:
        self.counts[found.case.suite, found.verdict] += 1
        if verbose or found.verdict != EQUAL:
            print(f"{found.case.suite:12} {found.case.name:50} {found.verdict}")
        if found.detail and (verbose or found.verdict == UNKNOWN):
            print("".join(f"    {line}\n" for line in found.detail.splitlines()[:40]), end="")

    def lines(self) -> Iterator[str]:
        suites = sorted({suite for suite, _ in self.counts})
        verdicts = sorted({verdict for _, verdict in self.counts}, key=lambda v: (v != EQUAL, v))
        width = max(map(len, ("", *verdicts)))
        yield " ".join([f"{'':{width}}", *(f"{suite:>12}" for suite in suites)])
        for verdict in verdicts:
            numbers = [self.counts[suite, verdict] for suite in suites]
            yield " ".join([f"{verdict:{width}}", *(f"{number:>12}" for number in numbers)])


def run(root: Path, word: str = "", verbose: bool = False) -> Table:
    table = Table()
    for cases, runner in ((goldens(root), run_golden), (assertions(root), run_assertions)):
        for case in cases:
            if word in f"{case.suite}/{case.name}":
                table.add(runner(case), verbose)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus_whamm")
    parser.add_argument("-k", metavar="WORD", default="", help="cases with this in their name only")
    parser.add_argument("-v", action="store_true", help="show equal ones, and what differs")
    parser.add_argument("root", metavar="DIR", type=Path)
    args = parser.parse_args(arguments)
    table = run(args.root, args.k, args.v)
    print("\n".join(table.lines()))
    if not table.counts:
        print(f"no cases in {args.root}")
    unknown = sum(n for (_, verdict), n in table.counts.items() if verdict == UNKNOWN)
    return 1 if unknown or not table.counts else 0


if __name__ == "__main__":
    sys.exit(main())
