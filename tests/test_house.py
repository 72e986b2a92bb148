"""The rules of the house: who may import whom, and how long things may get."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "whamm_cm"
#: Bottom first: a room imports itself and what stands before it.
ROOMS = (
    "dataclass", "errors", "_version", "files", "registry", "kernel", "demangle", "wasm",
    "component", "wit", "abi", "lang", "agent", "analysis", "emit", "monitors", "weave", "run",
    "trace", "render",
    "telemetry", "gate", "front", "editor", "cli", "__main__", "__init__",
)  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_point_down(path: Path) -> None:
    room = room_of(path)
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] != "whamm_cm" or len(parts) < 2 or parts[1] not in ROOMS:
            continue
        assert ROOMS.index(parts[1]) <= ROOMS.index(room), f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 600
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < 50, f"{path}:{node.lineno} {node.name}"


def test_classes_are_quick_to_define() -> None:
    for path in FILES:
        if "dataclasses.dataclass" in imports(ast.parse(path.read_text(encoding="utf-8"))):
            assert path == SOURCE / "dataclass.py", f"{path}: take whamm_cm.dataclass"


def test_only_the_command_line_knows_rich() -> None:
    for path in FILES:
        if any(name.split(".")[0] == "rich" for name in imports(ast.parse(path.read_text()))):
            assert room_of(path) == "cli", path


def modules() -> dict[str, set[str]]:
    """What each module imports of ours, wherever in it, also for types only."""
    found = {}
    for path in FILES:
        parts = ("whamm_cm", *path.relative_to(SOURCE).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = path
    graph = {}
    for name, path in found.items():
        targets = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                targets |= {each if each in found else node.module for each in names}
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
        graph[name] = targets & found.keys() - {name}
    return graph


def test_there_is_no_circle() -> None:
    """Taking away, again and again, what imports nothing that is left leaves nothing."""
    left = modules()
    assert len(left) > 300
    while done := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in done}
    assert not left, "these import each other, or what does: " + ", ".join(sorted(left))
