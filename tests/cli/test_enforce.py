"""``whamm-cm enforce``: guests see the errors of their own interfaces, and no way leads past."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from fixtures.build import path_of
from fixtures.listener import greeter
from fixtures.running import Ended, run_command
from whamm_cm.analysis.stamp import _custom_sections
from whamm_cm.cli.main import main
from whamm_cm.errors import UsageError, WeaveError
from whamm_cm.front.guarding import guard_of, guarded
from whamm_cm.front.settings import Settings
from whamm_cm.front.verdict import policy_of
from whamm_cm.front.woven import weave
from whamm_cm.gate.guard_claim import SECTION
from whamm_cm.gate.policy import Policy

Make = Callable[[str], Policy]


@pytest.fixture
def policy(tmp_path: Path) -> Make:
    def make(text: str) -> Policy:
        path = tmp_path / "policy.yaml"
        path.write_text(f"version: 1\n{text}\n", "utf-8")
        return policy_of(path)

    return make


def held(wasm: bytes, policy: Policy, *args: str, mode: str = "deny", **more: object) -> Ended:
    found = guarded(wasm, "app.wasm", policy, mode)  # type: ignore[arg-type]
    return run_command(b"".join(found.pieces), ("command", *args), **more)  # type: ignore[arg-type]


def said(ended: Ended) -> list[str]:
    """The lines about what was denied."""
    records = (line.partition("{")[2] for line in ended.stderr.decode().splitlines())
    return [found["text"] for found in (json.loads("{" + one) for one in records if one)
            if found["phase"] == "print"]  # fmt: skip


OPEN = "wasi:filesystem/types@0.2.0#descriptor.open-at"


def test_c_sees_the_error_of_the_interface(policy: Make, tmp_path: Path) -> None:
    wasm = path_of("c_command").read_bytes()
    rules = policy('imports: { deny: ["wasi:filesystem/types#descriptor.open-at"] }')
    (tmp_path / "data").mkdir()
    before = run_command(wasm, directory=tmp_path / "data")
    assert b"file: note.txt" in before.stdout
    (tmp_path / "data" / "note.txt").unlink()
    after = held(wasm, rules, directory=tmp_path / "data")
    # 0 is `access`, the first case of its enum; the program runs on to its own end.
    assert after.stdout.count(b"open failed with code 0") == 3
    assert (after.status, after.trap) == (1, "")
    assert list((tmp_path / "data").iterdir()) == []
    why = "policy.yaml:2: wasi:filesystem/types#descriptor.open-at"
    assert said(after) == [f"enforce: denied {OPEN} ({why})"] * 3


def test_c_sees_that_it_may_not_connect(policy: Make) -> None:
    wasm = path_of("c_command").read_bytes()
    rules = policy('imports: { deny: ["wasi:sockets/tcp-create-socket"] }')
    with greeter() as address:
        assert b"WELCOME" in run_command(wasm, ("command", address)).stdout
        after = held(wasm, rules, address)
    assert b"create-tcp-socket failed with code 1\n" in after.stdout  # access-denied
    assert b"WELCOME" not in after.stdout and after.trap == ""


def test_python_sees_its_own_exception(policy: Make, tmp_path: Path) -> None:
    wasm = path_of("py_command").read_bytes()
    rules = policy('imports: { deny: ["wasi:filesystem/types#descriptor.open-at"] }')
    (tmp_path / "data").mkdir()
    after = held(wasm, rules, directory=tmp_path / "data")
    assert b"PermissionError: [Errno 2] Permission denied" in after.stderr
    assert list((tmp_path / "data").iterdir()) == []


def test_what_has_no_error_traps(policy: Make) -> None:
    rules = policy('imports: { deny: ["wasi:random/random#get-random-bytes"] }')
    after = held(path_of("c_command").read_bytes(), rules)
    assert after.status is None and "unreachable" in after.trap
    assert b"random:" not in after.stdout
    denied = "enforce: wasi:random/random@0.2.0#get-random-bytes is denied"
    assert said(after)[-1] == f"abort: {denied}"


def test_warn_tells_and_lets_through(policy: Make, tmp_path: Path) -> None:
    wasm = path_of("c_command").read_bytes()
    rules = policy('imports: { deny: ["wasi:filesystem/*", "wasi:random/*"] }')
    (tmp_path / "data").mkdir()
    before = run_command(wasm, directory=tmp_path / "data")
    after = held(wasm, rules, mode="warn", directory=tmp_path / "data")
    assert (before.status, before.stdout) == (after.status, after.stdout)
    lines = said(after)
    assert len([line for line in lines if line.startswith(f"enforce: would deny {OPEN} ")]) == 3


def test_a_closed_list_denies_what_is_not_on_it(policy: Make) -> None:
    rules = policy('imports: { allow: ["wasi:cli/*@^0.2.0", "wasi:io/*@^0.2.0"] }')
    found = guard_of(path_of("c_command").read_bytes(), "app.wasm", rules, "deny")
    denied = dict(found.denied)
    assert denied["wasi:clocks/monotonic-clock@0.2.0#now"] == ""
    assert denied[OPEN] == "access"
    assert not any(title.startswith(("wasi:cli/", "wasi:io/")) for title in denied)


EVERYTHING = """imports: { deny: ["wasi:sockets/udp"] }
permissions:
  network: { allow: [{ cidr: 127.0.0.0/8 }] }
  storage: { allow: [{ uri: "fs:///data/**", access: [read, write] }] }
  environment: { allow: [{ key: GREETING }], deny: [{ key: SECRET }] }
virtual: { clocks: { start: 2026-01-01T00:00:00Z }, random: { seed: 7 } }"""


def test_all_sections_of_a_policy_are_held_together(policy: Make, tmp_path: Path) -> None:
    wasm = path_of("c_command").read_bytes()
    (tmp_path / "data").mkdir()
    with greeter() as address:
        before = run_command(wasm, ("command", address), directory=tmp_path / "data")
        rules = policy(EVERYTHING)
        after = held(wasm, rules, address, directory=tmp_path / "data")
        assert b"WELCOME" in before.stdout and b"WELCOME" in after.stdout
        rules = policy(EVERYTHING.replace("127.0.0.0/8", "10.0.0.0/8").replace("/data/", "/else/"))
        denied = held(wasm, rules, address, directory=tmp_path / "data")
    assert (after.status, after.trap) == (before.status, before.trap)
    assert b"file: note.txt" in after.stdout and b"file: note.txt" not in denied.stdout
    assert b"WELCOME" not in denied.stdout and denied.trap == ""


def test_a_policy_by_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b'a\xff{}".yaml')
    path.write_text('version: 1\nimports: { deny: ["wasi:random/*"] }\n', "utf-8")
    out = tmp_path / "out.wasm"
    assert (
        main(["enforce", "-q", "--policy", str(path), "-o", str(out), str(path_of("c_command"))])
        == 0
    )
    assert said(run_command(out.read_bytes()))[0].endswith(
        '(a\\udcff{}".yaml:2: wasi:random/*)')  # fmt: skip


@pytest.mark.parametrize("rules", ['imports: { deny: ["*"] }', "virtual: { random: { seed: 1 } }"])
def test_what_is_woven_already_is_not_guarded(rules: str, policy: Make) -> None:
    wasm = weave(asking("wasi:random/random@0.2.0"), Settings(trace="*", sink="none"), "a")
    with pytest.raises(WeaveError, match="^a has already been instrumented .*; guard the original"):
        guarded(b"".join(wasm.inner.pieces), "a", policy(rules), "deny")


# --- attacks -------------------------------------------------------------------------------------

#: ``ask()`` returns what the host's ``get-random-u64`` gives, by whatever name it is imported.
ASKING = """(component
  (import "{name}" (instance $random (export "get-random-u64" (func (result u64)))))
  (core func $f (canon lower (func $random "get-random-u64")))
  (core module $m (import "" "f" (func $f (result i64)))
    (func (export "ask") (result i64) (call $f)))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func (export "ask") (result u64) (canon lift (core func $m "ask"))))"""


def asking(name: str) -> bytes:
    return wat2wasm(ASKING.format(name=name))


INNER = """(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (component $inner
    (import "harmless" (func $h (result u64)))
    (core func $f (canon lower (func $h)))
    (core module $m (import "" "f" (func $f (result i64)))
      (func (export "ask") (result i64) (call $f)))
    (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
    (func (export "ask") (result u64) (canon lift (core func $m "ask"))))
  (instance $i (instantiate $inner (with "harmless" (func $random "get-random-u64"))))
  (export "ask" (func $i "ask")))"""


def asked(wasm: bytes, again: int = 0) -> tuple[int | None, str, int]:
    """What ``ask()`` returns where every function of the host gives 77, after it was called
    ``again`` times; and how often one was called."""
    import wasmtime
    from wasmtime import component as wc

    calls: list[int] = []

    def give(*_: object) -> int:
        calls.append(1)
        return 77

    engine = wasmtime.Engine()
    component = wc.Component(engine, wasm)
    linker = wc.Linker(engine)
    with linker.root() as root:
        for name in component.type.imports(engine):
            with root.add_instance(name) as instance:
                instance.add_func("get-random-u64", give)
    store = wasmtime.Store(engine)
    func = linker.instantiate(store, component).get_func(store, "ask")
    assert func is not None
    try:
        for _ in range(again):
            func(store)
        return func(store), "", len(calls)
    except wasmtime.WasmtimeError as error:
        return None, str(error), len(calls)


@pytest.mark.parametrize("text", (
    'version: 1\\nimports: { deny: [{ item: "wasi:random/*", reason: "{} \\" ); exit(0); //" }] }',
    'version: 1\\nimports: { deny: ["wasi:random/{random,insecure}"] }',
))  # fmt: skip
def test_a_policy_cannot_write_into_the_script(text: str, tmp_path: Path) -> None:
    path = tmp_path / 'a{}"\\n.yaml'
    path.write_text(text.replace("\\\\n", "\n").replace("\\n", "\n", 1), "utf-8")
    component = guarded(
        asking("wasi:random/random@0.2.0"), "app.wasm", policy_of(path), "deny", "none"
    )
    assert asked(b"".join(component.pieces))[2] == 0


# --- budgets -------------------------------------------------------------------------------------

BUDGET = 'budgets: { "wasi:random/random#get-random-u64": { max_calls_per_invocation: 2 } }'
#: ``ask()`` asks twice, and ``more()`` three times.
TWICE = """(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (core func $f (canon lower (func $random "get-random-u64")))
  (core module $m (import "" "f" (func $f (result i64)))
    (func (export "ask") (result i64) (drop (call $f)) (call $f))
    (func (export "more") (result i64) (drop (call $f)) (drop (call $f)) (call $f)))
  (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
  (func $ask (result u64) (canon lift (core func $m "ask")))
  (func $more (result u64) (canon lift (core func $m "more")))
  {rest})"""


def test_a_budget_is_that_of_each_call(policy: Make) -> None:
    twice, more = (wat2wasm(TWICE.replace("{rest}", f'(export "ask" (func ${name}))'))
                   for name in ("ask", "more"))  # fmt: skip
    rules = policy(BUDGET)
    found = b"".join(guarded(twice, "app.wasm", rules, "deny", "none").pieces)
    assert asked(found) == (77, "", 2)
    assert asked(found, again=3) == (77, "", 8)
    value, trap, calls = asked(b"".join(guarded(more, "app.wasm", rules, "deny", "none").pieces))
    assert (value, calls) == (None, 2) and "unreachable" in trap


def test_c_sees_that_a_budget_is_spent(policy: Make, tmp_path: Path) -> None:
    rules = policy(
        'budgets: { "wasi:filesystem/types#*.open-at": { max_calls_per_invocation: 1 } }'
    )
    (tmp_path / "data").mkdir()
    after = held(path_of("c_command").read_bytes(), rules, directory=tmp_path / "data")
    assert after.stdout.count(b"open failed with code 0") == 2
    why = "policy.yaml:2: max_calls_per_invocation: 1"
    assert said(after) == [f"enforce: denied {OPEN} ({why})"] * 2


def test_nobody_inside_begins_a_budget_anew(policy: Make) -> None:
    inside = """(component $inner
        (import "f" (func $f (result u64)))
        (core func $g (canon lower (func $f)))
        (core module $n (import "" "g" (func $g (result i64)))
          (func (export "ask") (result i64) (drop (call $g)) (call $g)))
        (core instance $n (instantiate $n (with "" (instance (export "g" (func $g))))))
        (func (export "ask") (result u64) (canon lift (core func $n "ask"))))
      (instance $i (instantiate $inner (with "f" (func $ask))))
      (export "ask" (func $i "ask"))"""
    wasm = wat2wasm(TWICE.replace("{rest}", inside))
    assert asked(wasm) == (77, "", 4)
    with pytest.raises(WeaveError, match="which would begin a budget anew"):
        guarded(wasm, "app.wasm", policy(BUDGET), "deny")
    with pytest.raises(WeaveError, match="a component inside calls it"):
        guarded(wat2wasm(INNER), "app.wasm", policy(BUDGET), "deny")


def test_what_is_not_held_is_refused(policy: Make) -> None:
    wasm = path_of("c_command").read_bytes()
    for text, why in (
        ('budgets: { "wasi:random/*": { p99_ms: 5 } }', "does not hold p99_ms"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            guarded(wasm, "app.wasm", policy(text), "deny")


# --- the command ---------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules, out = tmp_path / "policy.yaml", tmp_path / "guarded.wasm"
    rules.write_text("version: 1\nimports: { deny: ['wasi:filesystem/types#*.open-at'] }\n")
    app = str(path_of("c_command"))
    assert main(["enforce", "--policy", str(rules), "-o", str(out), app]) == 0
    assert capsys.readouterr().err == f"whamm-cm: {OPEN}: answers access\n"
    sections = dict(_custom_sections(out.read_bytes()))
    facts = json.loads(sections[SECTION.encode()])
    assert facts["mode"] == "deny" and facts["policy"][0]["file"] == "policy.yaml"
    assert facts["policy"] == [{"file": "policy.yaml", "sha256": policy_of(rules).sources[0][1]}]
    assert main(["enforce", "--policy", str(rules), "--print-script", app]) == 0
    assert capsys.readouterr().out.startswith(
        "wit:import:wasi:filesystem/types@=0.2.0#descriptor.open-at:alt {\n"
    )


@pytest.mark.parametrize(("words", "why"), (
    ((), "name a file to write with -o"),
    (("-o", "x", "--print-script"), "name a file to write with -o"),
    (("-o", "oci://localhost/x:1"), "enforce writes files"),
))  # fmt: skip
def test_wrong_words(
    words: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "policy.yaml"
    rules.write_text("version: 1\nimports: { deny: ['wasi:random/*'] }\n")
    app = str(path_of("c_command"))
    assert main(["enforce", "--policy", str(rules), *words, app]) == 2
    assert why in capsys.readouterr().err


def test_nothing_to_enforce(policy: Make) -> None:
    with pytest.raises(WeaveError, match="calls nothing that the policy denies or answers"):
        guarded(path_of("c_command").read_bytes(), "a", policy('imports: {deny: ["wasi:nn/*"]}'),
                "deny")  # fmt: skip
