"""Every command the documentation shows is run, and does what is shown."""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.book import ROOT, Block, Shown, matches, shell_blocks
from tests.hosts.tools import need
from tests.registry.server import Images, serving

#: Tools whamm-cm does not bring along: only their commands may be left out.
FOREIGN = frozenset(
    (
        *("cosign", "wasmtime", "wasm-tools", "npx", "kubectl", "wash", "wkg"),
        *("journalctl", "vector", "fluent-bit", "genhtml", "go", "otelcol-contrib", "wizeng"),
    )
)

#: What a reader has: a checkout.
CHECKOUT = ("src", "tests", "fixtures", "wit", "docs")
FILES = ("Makefile", "pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")

#: Targets of which make only says what it would do: they are this very run, or a step beside it.
DRY = frozenset(("test", "test-fast", "lint"))

BLOCKS = shell_blocks()
RUN = [block for block in BLOCKS if not block.mark.startswith("not run")]
LEFT_OUT = [block for block in BLOCKS if block.mark.startswith("not run")]


def environment(bin_: Path, checkout: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    for key in ("BLESS", "CI", "NO_COLOR", "MAKEFLAGS", "MAKELEVEL"):
        kept.pop(key, None)
    path = f"{bin_}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "PYTHONPATH": str(checkout / "src"), "COLUMNS": "100"}


def shell(command: str, status: int, folder: Path, bin_: Path) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as if the one before had ended with ``status``."""
    words = command.split()
    if "make" in words[:2] and words[-1] in DRY:
        command = command.replace("make", "make --dry-run", 1)
    return subprocess.run(
        ["sh", "-c", f"(exit {status})\n{command}"],
        cwd=folder,
        env=environment(bin_, folder),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        timeout=300,
    )


@pytest.fixture(scope="session")
def bin_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands a reader has on the path after ``make demo``."""
    folder = tmp_path_factory.mktemp("bin")
    for name, words in (("python", ""), ("whamm-cm", "-m whamm_cm ")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory, bin_: Path) -> Path:
    """A copy of the checkout, with the samples made as docs/index.md says."""
    folder = tmp_path_factory.mktemp("book") / "checkout"
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in CHECKOUT:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    # As after the setup of the Makefile: its stamps, newer than pyproject.toml.
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(bin_ / "python", folder / ".venv" / "bin" / "python")
    for stamp in (".run", ".test"):
        (folder / ".venv" / stamp).touch()
    (block,) = (block for block in BLOCKS if block.mark == "samples")
    follow(block, folder, bin_)
    return folder


def follow(block: Block, folder: Path, bin_: Path) -> None:
    """Run the commands of a block one after the other and compare."""
    commands = block.commands()
    status = 0
    for shown, following in zip(commands, [*commands[1:], Shown("", ())], strict=True):
        ran = shell(shown.command, status, folder, bin_)
        # What the guest prints first, then our log: how they interleave is up to the clock.
        said = ran.stdout + ran.stderr
        where = f"{block.name}: {shown.command}\n{said}"
        if following.command != "echo $?":
            assert ran.returncode == 0, where
        if shown.output and any(shown.output):
            assert matches(shown.output, said), where
        status = ran.returncode


def serve(block: Block, folder: Path, bin_: Path) -> None:
    """A server: it listens where there is room, gets the request of the mark, and is ended."""
    (shown,) = block.commands()
    words = shlex.split(shown.command)
    _, method, target, body = block.mark.split()
    with subprocess.Popen(
        [*words[:2], "--addr", "127.0.0.1:0", *words[2:]],
        cwd=folder, env=environment(bin_, folder), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8",
        executable=bin_ / words[0],
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
            assert found is not None, said
            client = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=120)
            client.request(method, target, body)
            assert client.getresponse().read() == body.encode()
            client.close()
            process.terminate()
            said += process.communicate(timeout=120)[1]
        finally:
            process.kill()
    said = said.replace(f":{found[1]}/", ":8080/")
    assert matches(shown.output, said), f"{block.name}: {shown.command}\n{said}"


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_the_commands_do_what_is_shown(
    block: Block, samples: Path, bin_: Path, tmp_path: Path
) -> None:
    assert block.commands(), f"{block.name} shows no command; commands start with $"
    if block.mark == "samples":
        return  # making the samples has run it
    if block.mark.startswith("where there is "):
        need(block.mark.rpartition(" ")[2])
    if "agent.build" in str(block.lines) and importlib.util.find_spec("ziglang") is None:
        pytest.skip("NOT run: ziglang is not installed")
    folder = tmp_path / "checkout"
    shutil.copytree(samples, folder)
    if block.mark.startswith("served:"):
        serve(block, folder, bin_)
        return
    if block.mark != "with a registry":
        follow(block, folder, bin_)
        return
    images = Images()
    images.add("shop/cart:1", (folder / "command.wasm").read_bytes())
    with serving(images) as where:
        lines = tuple(line.replace("localhost:5000", where) for line in block.lines)
        follow(replace(block, lines=lines), folder, bin_)


def tool(command: str) -> str:
    """The tool a command is about: its first word, or the first behind ``--``."""
    words = command.split()
    return words[words.index("--") + 1] if "--" in words else words[0]


@pytest.mark.parametrize("block", LEFT_OUT, ids=lambda block: block.name)
def test_only_commands_of_foreign_tools_are_left_out(block: Block) -> None:
    assert block.needs in FOREIGN, f"{block.name}: {block.mark}"
    assert block.commands()
    for shown in block.commands():
        assert tool(shown.command) == block.needs, f"{block.name}: {shown.command}"


def test_every_block_has_a_known_language() -> None:
    """A block of commands that is not called ``console`` would never be run."""
    from tests.docs.book import PAGES, blocks

    known = {"console", "sh", "python", "yaml", "c", "json", "whamm", "rego", "wit", "text", "mm",
             "lua", "toml"}  # fmt: skip
    odd = [block.name for page in PAGES for block in blocks(page) if block.language not in known]
    assert odd == []
    hidden = [
        f"{block.name}: {line}"
        for page in PAGES
        for block in blocks(page)
        if block.language not in ("console", "sh")
        for line in block.lines
        if line.startswith("$ ")
    ]
    assert hidden == []


@pytest.mark.parametrize(
    ("shown", "actual", "fits"),
    [
        (("a",), "a\n", True),
        (("a",), "b\n", False),
        (("a",), "a\nb\n", False),
        (("a", "…"), "a\nb\nc\n", True),
        (("…", "c"), "a\nb\nc\n", True),
        (("…", "c"), "a\nb\n", False),
        (("x … z",), "x y z\n", True),
        (("x … z",), "x y\nz\n", False),
        (("x.z",), "xyz\n", False),
        (("a  b",), "a      b\n", True),
        (("a b",), "ab\n", False),
    ],
)
def test_comparing(shown: tuple[str, ...], actual: str, fits: bool) -> None:
    assert matches(shown, actual) is fits
