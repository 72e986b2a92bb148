"""docs/cookbook.md: each recipe counts what somebody else has counted, too: a server of Python's
own, an interpreter of core modules, the disk, the output of the program, or a reader of its source.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socketserver
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures.build import path_of
from tests.cli.test_http import serving
from tests.docs.book import ROOT, blocks
from tests.weave.interpreter import Interpreter
from whamm_cm.cli.main import main

PAGE = ROOT / "docs" / "cookbook.md"
FOLDER = ROOT / "docs" / "cookbook"
RECIPES = sorted(FOLDER.glob("*.mm"))
_SCRIPT = re.compile(r"(<!-- script: (\S+) -->\n```mm\n)(.*?)(```\n)", re.S)

Run = tuple[dict[str, Any], list[str], str]


def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], recipe: str, *words: str,
        status: int = 0) -> Run:  # fmt: skip
    """Values by variable (of cells of one variable a list of (function, value)), printed lines, and
    what the program wrote."""
    out = tmp_path / "report.json"
    command = ["trace", "-q", "-f", "json", "-o", str(out), "-s", str(FOLDER / f"{recipe}.mm")]
    capfd.readouterr()
    assert main([*command, *words]) == status
    found = json.loads(out.read_text("utf-8"))
    values: dict[str, Any] = {}
    for cell in found["cells"]:
        value = cell["value"]
        if cell["type"].startswith("map"):
            value = {tuple(k) if isinstance(k, list) else k: v for k, v in value}
        if "fname" in cell:
            values.setdefault(cell["var"], []).append((cell["fname"], value))
        else:
            values[cell["var"]] = value
    return values, [one["text"] for one in found["prints"]], capfd.readouterr().out


# --- the page ------------------------------------------------------------------------------------


def test_the_page_shows_the_scripts() -> None:
    def shown(found: re.Match[str]) -> str:
        return found[1] + (FOLDER / found[2]).read_text("utf-8") + found[4]

    text = PAGE.read_text("utf-8")
    made = _SCRIPT.sub(shown, text)
    if os.environ.get("BLESS"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text("utf-8") == made, "BLESS=1 rewrites it"
    assert sorted(found[2] for found in _SCRIPT.finditer(text)) == [p.name for p in RECIPES]
    commands = "\n".join(line for block in blocks(PAGE) for line in block.lines)
    for path in RECIPES:
        assert f"-s docs/cookbook/{path.name}" in commands, path.name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_is_short(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert 1 <= len(lines) <= 10 and max(map(len, lines)) <= 110


# --- peers ---------------------------------------------------------------------------------------


@contextmanager
def peer(answer: bytes) -> Iterator[tuple[str, Counter[str]]]:
    """A server that counts what it gets and sends; the bytes of all its connections."""
    counted: Counter[str] = Counter()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            counted["got"] += len(self.rfile.readline(1024))
            counted["sent"] += self.wfile.write(answer)
            counted["connections"] += 1

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", counted
        finally:
            server.shutdown()
            thread.join()


def test_bytes_per_remote_address(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with peer(b"WELCOME\n") as (first, one), peer(b"WELCOME, whoever you are\n") as (second, two):
        values, _, _ = run(tmp_path, capfd, "peers", "--inherit-network", str(path_of("command")),
                           first, second, first)  # fmt: skip
    assert (one["connections"], two["connections"]) == (2, 1)
    assert values["sent"] == {first: one["got"], second: two["got"]}
    assert values["received"] == {first: one["sent"], second: two["sent"]}
    assert len({*values["sent"].values(), *values["received"].values()}) == 4


def test_an_error_into_every_third_connect(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(peer(b"WELCOME\n")) for _ in range(7)]
        addresses = [address for address, _ in peers]
        _, _, said = run(tmp_path, capfd, "every-third", "--inherit-network",
                         str(path_of("command")), *addresses, status=1)  # fmt: skip
    assert [counted["connections"] for _, counted in peers] == [1, 1, 0, 1, 1, 0, 1]
    assert said.count("start-connect failed") == 2 and said.count("answer: WELCOME") == 5


# --- calls ---------------------------------------------------------------------------------------

#: How often fixtures/c_command/command.c calls what, with a folder and without a peer.
CALLED = {
    "wasi:cli/stdout#get-stdout": 1, "wasi:cli/environment#get-arguments": 1,
    "wasi:cli/environment#get-environment": 1, "wasi:clocks/wall-clock#now": 1,
    "wasi:clocks/monotonic-clock#now": 2, "wasi:random/random#get-random-bytes": 1,
    "wasi:random/random#get-random-u64": 2, "wasi:filesystem/preopens#get-directories": 1,
    "wasi:filesystem/types#descriptor.open-at": 3,
    "wasi:filesystem/types#descriptor.write-via-stream": 2,
    "wasi:filesystem/types#descriptor.read-via-stream": 1,
    "wasi:filesystem/types#descriptor.stat": 1,
    "wasi:filesystem/types#descriptor.unlink-file-at": 1,
    "wasi:filesystem/types#descriptor.read-directory": 1,
    # two files and the end
    "wasi:filesystem/types#directory-entry-stream.read-directory-entry": 3,
    "wasi:filesystem/types#directory-entry-stream.drop": 1,
    "wasi:filesystem/types#descriptor.drop": 4,  # three files and the folder
    "wasi:io/streams#output-stream.blocking-write-and-flush": 7,  # five lines, two files
    "wasi:io/streams#output-stream.drop": 3, "wasi:io/streams#input-stream.blocking-read": 1,
    "wasi:io/streams#input-stream.drop": 1,
}  # fmt: skip


def test_a_latency_histogram_per_import(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("--dir", f"{_folder(tmp_path)}::/data", str(path_of("command")))
    values, _, said = run(tmp_path, capfd, "latency", *words)
    assert said.count("\n") == 5
    samples = {
        name: sum(count for _, count in _buckets(h)) for name, h in values["latency"].items()
    }
    assert samples == CALLED


def _buckets(histogram: Any) -> list[tuple[int, int]]:
    """(from, how many)."""
    found = histogram.get("buckets", histogram) if isinstance(histogram, dict) else histogram
    return [(int(low), int(count)) for low, count in
            (found.items() if isinstance(found, dict) else found)]  # fmt: skip


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_top_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path)
    words = ("--env", "GREETING=good morning", "--dir", f"{folder}::/data")
    values, _, said = run(tmp_path, capfd, "files", *words, str(path_of("command")))
    note = (folder / "note.txt").stat().st_size  # written, and then read
    assert f"note.txt, {note} bytes" in said
    assert values["bytes"] == {"note.txt": 2 * note, "scratch.tmp": len("soon gone")}


def test_abort_on_a_denied_path(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path)
    words = ("--dir", f"{folder}::/data", str(path_of("command")))
    _, _, said = run(tmp_path, capfd, "abort", *words, status=134)
    assert os.listdir(folder) == ["note.txt"]  # what was opened before is there
    assert said.splitlines()[-1].startswith("random: ") and "directory: " not in said
    (folder / "note.txt").unlink()
    _, _, said = run(tmp_path, capfd, "abort", "-D", "denied=note.txt", *words, status=134)
    assert os.listdir(folder) == [] and said.splitlines()[-1].startswith("random: ")


def test_an_error_for_a_denied_path(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path)
    words = ("--dir", f"{folder}::/data", str(path_of("command")))
    _, printed, said = run(tmp_path, capfd, "deny", *words, status=1)
    assert printed == ["denied: scratch.tmp"]
    assert os.listdir(folder) == ["note.txt"] and "open failed with code 0" in said
    _, printed, _ = run(tmp_path, capfd, "deny", "-D", "denied=note.txt", *words, status=1)
    assert printed == ["denied: note.txt"] * 2  # to write it, and to read it


def test_calls_filtered_by_a_predicate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("--dir", f"{_folder(tmp_path)}::/data", str(path_of("command")))
    for longer in (20, 17, 0):
        _, printed, said = run(tmp_path, capfd, "long-writes", "-D", f"longer={longer}", *words)
        files = [len("hello"), len("soon gone")]  # they are written behind the third line
        lines = [len(line) for line in said.splitlines(keepends=True)]
        wanted = [n for n in (*lines[:3], *files, *lines[3:]) if n > longer]
        assert [int(text.split()[0]) for text in printed] == wanted


def test_state_of_each_request(tmp_path: Path) -> None:
    app = tmp_path / "echo.wasm"
    app.write_bytes(path_of("http_echo").read_bytes())
    bodies = [b"x" * length for length in (5, 1_000, 0, 17)]
    words = ("--reuse", "100", "-s", str(FOLDER / "requests.mm"), str(app))
    with serving(*words) as server:
        for body in bodies:
            client = http.client.HTTPConnection(*server.address, timeout=120)
            client.request("POST", "/", body)
            assert client.getresponse().read() == body
            client.close()
        server.end()
    found = re.findall(r"answered with (\d+) bytes", server.said)
    assert [int(number) for number in found] == [len(body) for body in bodies]


# --- inside --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def squares() -> Interpreter:
    """The program, as the interpreter of the tests ran it."""
    found = Interpreter(path_of("squares").read_bytes())
    found.run("_start")
    return found


def names(program: Interpreter) -> dict[int, str]:
    return {fid: program.module.names.functions[fid] for fid in range(len(program.code))}


SQUARES = str(path_of("squares"))


def test_instructions_per_function(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], squares: Interpreter
) -> None:
    values, _, _ = run(tmp_path, capfd, "instructions", SQUARES)
    wanted: Counter[str] = Counter()
    for (fid, _), count in squares.noted.executed.items():
        wanted[names(squares)[fid]] += count
    assert values["executed"] == wanted
    assert wanted["square"] == 4 * 100  # of 100 calls


def test_the_call_graph(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], squares: Interpreter
) -> None:
    values, _, _ = run(tmp_path, capfd, "calls", SQUARES)
    name = names(squares)
    edges = {(name[a], name[b]): count for (a, b), count in squares.noted.edges.items()}
    assert values["calls"] == edges
    assert edges["fill", "square"] == 100 and edges["down", "down"] == 7 + 3


def test_branch_coverage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], squares: Interpreter
) -> None:
    values, _, _ = run(tmp_path, capfd, "branches", SQUARES)
    noted, name = squares.noted, names(squares)
    taken: list[tuple[str, int]] = []
    missed: list[tuple[str, int]] = []
    for (fid, at), count in noted.executed.items():
        if squares.code[fid].steps[at].name in ("if", "br_if"):
            taken.append((name[fid], noted.taken[fid, at]))
            missed.append((name[fid], count - noted.taken[fid, at]))
    assert sorted(values["taken"]) == sorted(taken)
    assert sorted(values["not_taken"]) == sorted(missed)
    assert ("sum_even", 50) in taken  # every second number is even


def test_the_cache_simulator(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    library = f"cache={path_of('cache_sim')}"
    values, _, _ = run(tmp_path, capfd, "cache", "--lib", library, SQUARES)
    # fill writes 100 numbers of four bytes, sum_even reads them.
    sets: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(64)]
    hits = misses = 0
    for address in [*range(0, 400, 4)] * 2:
        ways = sets[address // 64 % 64]
        hits, misses = hits + (address // 64 in ways), misses + (address // 64 not in ways)
        ways[address // 64] = None
        ways.move_to_end(address // 64)
        if len(ways) > 8:
            ways.popitem(last=False)
    assert (values["hits"], values["misses"]) == (hits, misses) == (193, 7)


def test_heap_growth(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It has one page, gets two more, and asks for 99 where four are the most."""
    _, printed, _ = run(tmp_path, capfd, "heap", SQUARES)
    assert printed == ["_start: 3 pages, were 1", "_start: no 99 pages more"]


def test_stack_depth(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], squares: Interpreter
) -> None:
    values, _, _ = run(tmp_path, capfd, "depth", SQUARES)
    deepest: Counter[str] = Counter()
    for stack in squares.noted.stacks:
        deepest[names(squares)[stack[-1]]] = max(deepest[names(squares)[stack[-1]]], len(stack))
    assert values["deepest"] == deepest
    assert deepest["down"] == 1 + 8  # _start, and down(7) to down(0)


def test_the_opcode_mix(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], squares: Interpreter
) -> None:
    values, _, _ = run(tmp_path, capfd, "opcodes", SQUARES)
    wanted: Counter[str] = Counter()
    for (fid, at), count in squares.noted.executed.items():
        wanted[squares.code[fid].steps[at].name] += count
    assert values["executed"] == wanted


def test_hot_loops(tmp_path: Path, capfd: pytest.CaptureFixture[str], squares: Interpreter) -> None:
    values, _, _ = run(tmp_path, capfd, "hot-loops", SQUARES)
    rounds = [(names(squares)[fid], count) for (fid, _), count in squares.noted.rounds.items()]
    assert sorted(values["rounds"]) == sorted(rounds) == [("fill", 100), ("sum_even", 100)]


def test_a_watch_on_one_argument(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, printed, _ = run(tmp_path, capfd, "watch", "-D", "function=down", SQUARES)
    wanted = [*range(7, -1, -1), *range(3, -1, -1)]
    assert printed == [f"down({number})" for number in wanted]
    _, printed, _ = run(tmp_path, capfd, "watch", "-D", "function=fill", SQUARES)
    assert printed == ["fill(100)"]


def test_one_in_n(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """square is called with 0 to 99."""
    _, printed, _ = run(tmp_path, capfd, "sample", "-D", "function=square", SQUARES)
    assert printed == [f"square({number})" for number in range(100)[::10]]
