"""``whamm-cm enforce``: what a policy answers in the host's place, which is not asked then."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from wasmtime import wat2wasm

import tests.gate.attacks_shape as shape
from fixtures.build import path_of
from fixtures.running import run_command
from tests.cli.asking_host import MEMORY, MOST, Host, passing
from tests.cli.test_enforce import held, policy, said  # noqa: F401 (a fixture)
from tests.cli.test_enforce_environment import CONFIG, ENVIRONMENT, LATER
from tests.gate.attacking import Plain, reach
from whamm_cm.cli.main import main
from whamm_cm.errors import WeaveError
from whamm_cm.front.guarding import guarded
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.subject import analyse

Make = Callable[[str], Policy]
_MASK = (1 << 64) - 1


def answering(wasm: bytes, rules: Policy, **gives: dict[str, Callable[..., object]]) -> Host:
    """The component on a host that has ``gives``, the interface written with underlines."""
    component = b"".join(guarded(wasm, "app.wasm", rules, "deny", "none").pieces)
    return Host(component, {name.replace("__", ":").replace("_at_", "@").replace("_", "/"): have
                            for name, have in gives.items()})  # fmt: skip


# --- environment, arguments, settings ------------------------------------------------------------


@pytest.mark.parametrize("wasm", (ENVIRONMENT, LATER), ids=("0.2", "0.3"))
def test_the_environment_is_that_of_the_policy(wasm: bytes, policy: Make) -> None:  # noqa: F811
    rules = policy(
        'virtual: { environment: { LANG: C, EMPTY: "", "Ä": "ö\\n" }, arguments: [app, "", -x] }'
    )
    host = answering(wasm, rules)
    assert host.imports == []
    wanted = [("LANG", "C"), ("EMPTY", ""), ("Ä", "ö\n")]
    assert [host.call("get-environment") for _ in range(3)] == [wanted] * 3
    if wasm is ENVIRONMENT:
        assert host.call("get-arguments") == ["app", "", "-x"]


def test_what_is_not_answered_is_left_to_the_host(policy: Make) -> None:  # noqa: F811
    component = b"".join(
        guarded(ENVIRONMENT, "a", policy("virtual: { arguments: [] }"), "deny", "none").pieces
    )
    gives = {"get-environment": lambda: [("A", "b")], "get-arguments": lambda: ["never"]}
    host = Host(component, {"wasi:cli/environment@0.2.0": gives})
    assert (host.call("get-arguments"), host.call("get-environment")) == ([], [("A", "b")])
    assert host.asked == ["get-environment"]


def test_the_stamp_is_of_what_was_given(policy: Make) -> None:  # noqa: F811
    """Not of the component with its answers, which nobody has."""
    made = guarded(ENVIRONMENT, "a", policy("virtual: { arguments: [] }"), "deny", "none")
    stamp = analyse(b"".join(made.pieces), "a").subject.stamp
    assert stamp is not None
    assert dict(stamp)["original-sha256"] == hashlib.sha256(ENVIRONMENT).hexdigest()


def test_the_directory_is_that_of_the_policy(policy: Make) -> None:  # noqa: F811
    for version, func in (("0.2.0", "initial-cwd"), ("0.3.0", "get-initial-cwd")):
        wasm = passing(f"wasi:cli/environment@{version}", "",
                       {func: ("(result (option string))", "", True)})  # fmt: skip
        assert answering(wasm, policy("virtual: { directory: /data }")).call(func) == "/data"


def test_settings_are_those_of_the_policy(policy: Make) -> None:  # noqa: F811
    host = answering(CONFIG, policy('virtual: { config: { url: "http://x", none: "" } }'))
    assert host.imports == []
    assert host.call("get-all") == [("url", "http://x"), ("none", "")]
    for key, value in (("url", "http://x"), ("none", ""), ("URL", None), ("ur", None), ("", None)):
        assert host.call("get", key) == value
    for _ in range(20):  # what was allocated for a key is given up
        assert host.call("get", "k" * (MOST // 10)) is None


# --- random numbers ------------------------------------------------------------------------------

NUMBER = ("(result u64)", "", False)
BYTES = ('(param "len" u64) (result (list u8))', "i64", True)
RANDOM = passing("wasi:random/random@0.2.0", "",
                 {"get-random-u64": NUMBER, "get-random-bytes": BYTES})  # fmt: skip
INSECURE = passing(
    "wasi:random/insecure@0.3.0", "",
    {"get-insecure-random-u64": NUMBER, "get-insecure-random-bytes": BYTES},
)  # fmt: skip
SEED = passing("wasi:random/insecure-seed@0.2.0", "",
               {"insecure-seed": ("(result (tuple u64 u64))", "", True)})  # fmt: skip


def splitmix(seed: int) -> Callable[[], int]:
    """As its author wrote it down, in Python."""
    x = seed

    def following() -> int:
        nonlocal x
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        z = x
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    return following


@pytest.mark.parametrize(("wasm", "word", "row"), (
    (RANDOM, "random", 0), (INSECURE, "insecure-random", 1),
))  # fmt: skip
def test_random_numbers_are_the_same_in_every_run(
    wasm: bytes, word: str, row: int, policy: Make  # noqa: F811
) -> None:  # fmt: skip
    assert splitmix(1234567)() == 6457827717110365317  # as is published
    rules = policy("virtual: { random: { seed: 1234567 } }")
    for _ in range(2):
        host, following = answering(wasm, rules), splitmix(1234567 ^ row << 56)
        assert host.imports == []
        for length in (0, 1, 8, 9, 70_000, 3):
            wanted = b"".join(following().to_bytes(8, "little") for _ in range(-(-length // 8)))
            assert bytes(host.call(f"get-{word}-bytes", length)) == wanted[:length]  # type: ignore[arg-type]
            assert host.call(f"get-{word}-u64") == following()


#: Takes a megabyte of random numbers thirty times.
THIRSTY = f"""(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  {MEMORY}
  (core func $f (canon lower (func $random "get-random-bytes") (memory $m) (realloc (func $r))))
  (core module $c (import "" "f" (func $f (param i64 i32)))
    (func (export "drink") (local $left i32) (local.set $left (i32.const 30))
      (loop $again (call $f (i64.const 1000000) (i32.const 16))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $c (instantiate $c (with "" (instance (export "f" (func $f))))))
  (func (export "drink") (canon lift (core func $c "drink"))))"""


def test_what_was_taken_is_given_up(policy: Make) -> None:  # noqa: F811
    host = answering(wat2wasm(THIRSTY), policy("virtual: { random: { seed: 1 } }"))
    assert host.call("drink") is None


def test_seeds_differ(policy: Make) -> None:  # noqa: F811
    first, second = (answering(SEED, policy(f"virtual: {{ random: {{ seed: {n} }} }}"))
                     for n in (1, 2))  # fmt: skip
    following = splitmix(1 ^ 2 << 56)
    assert first.call("insecure-seed") == (following(), following())
    assert first.call("insecure-seed") != second.call("insecure-seed")


def test_no_memory_is_large_enough(policy: Make) -> None:  # noqa: F811
    import wasmtime

    host = answering(RANDOM, policy("virtual: { random: { seed: 1 } }"))
    with pytest.raises(wasmtime.WasmtimeError, match="unreachable"):
        host.call("get-random-bytes", _MASK)


# --- clocks --------------------------------------------------------------------------------------

DATETIME = '(type $d (record (field "seconds" u64) (field "nanoseconds" u32)))'
WALL = passing(
    "wasi:clocks/wall-clock@0.2.0", f'{DATETIME} (export "datetime" (type $shared (eq $d)))',
    {"now": ("(result $shared)", "", True), "resolution": ("(result $shared)", "", True)},
)  # fmt: skip
SYSTEM = passing(
    "wasi:clocks/system-clock@0.3.0",
    f'{DATETIME.replace("u64", "s64")} (export "instant" (type $shared (eq $d)))',
    {"now": ("(result $shared)", "", True), "get-resolution": NUMBER},
)  # fmt: skip
MONOTONIC = passing("wasi:clocks/monotonic-clock@0.2.0", "",
                    {"now": NUMBER, "resolution": NUMBER})  # fmt: skip
START = 1767225600  # 2026-01-01T00:00:00Z


def moment(found: object) -> tuple[int, int]:
    return found.seconds, found.nanoseconds  # type: ignore[attr-defined]


@pytest.mark.parametrize("wasm", (WALL, SYSTEM), ids=("0.2", "0.3"))
def test_the_time_is_that_of_the_policy(wasm: bytes, policy: Make) -> None:  # noqa: F811
    host = answering(wasm, policy("virtual: { clocks: { start: 2026-01-01 } }"))
    assert host.imports == []
    assert [moment(host.call("now")) for _ in range(3)] == [(START, 0)] * 3
    host = answering(wasm, policy(
        "virtual: { clocks: { start: 2026-01-01T00:00:00.25Z, step_ms: 1500 } }"))  # fmt: skip
    assert [moment(host.call("now")) for _ in range(3)] == [
        (START, 250_000_000), (START + 1, 750_000_000), (START + 3, 250_000_000),
    ]  # fmt: skip
    if wasm is WALL:
        assert moment(host.call("resolution")) == (1, 500_000_000)
    else:
        assert host.call("get-resolution") == 1_500_000_000


def test_a_monotonic_clock_goes_by_steps(policy: Make) -> None:  # noqa: F811
    host = answering(MONOTONIC, policy(
        "virtual: { clocks: { start: 2554-01-01, step_ms: 0.001 } }"))  # fmt: skip
    assert host.imports == []
    found = [host.call("now") for _ in range(4)]
    assert found == [10**9, 10**9 + 1000, 10**9 + 2000, 10**9 + 3000]
    assert host.call("resolution") == 1000


#: Waits for a duration or until an instant by the host's pollables, and shows the clocks.
WAITING = f"""(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer)) (export "pollable" (type $p (eq $outer)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))
    (export "subscribe-instant" (func (param "when" u64) (result (own $p))))))
  {MEMORY}
  (core func $now (canon lower (func $clock "now")))
  (core func $for (canon lower (func $clock "subscribe-duration")))
  (core func $until (canon lower (func $clock "subscribe-instant")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core module $c
    (import "" "now" (func $now (result i64)))
    (import "" "for" (func $for (param i64) (result i32)))
    (import "" "until" (func $until (param i64) (result i32)))
    (import "" "block" (func $block (param i32))) (import "" "drop" (func $drop (param i32)))
    (func $wait (param i32) (call $block (local.get 0)) (call $drop (local.get 0)))
    (func (export "now") (result i64) (call $now))
    (func (export "begin") (param i64) (drop (call $for (local.get 0))))
    (func (export "for") (param i64) (call $wait (call $for (local.get 0))))
    (func (export "until") (param i64) (call $wait (call $until (local.get 0)))))
  (core instance $c (instantiate $c (with "" (instance
    (export "now" (func $now)) (export "for" (func $for)) (export "until" (func $until))
    (export "block" (func $block)) (export "drop" (func $drop))))))
  (func (export "now") (result u64) (canon lift (core func $c "now")))
  (func (export "begin") (param "ns" u64) (canon lift (core func $c "begin")))
  (func (export "for") (param "ns" u64) (canon lift (core func $c "for")))
  (func (export "until") (param "ns" u64) (canon lift (core func $c "until"))))"""


class Waits:
    """A host whose clock goes on by what is waited for, as far as it is let."""

    def __init__(self, wasm: bytes) -> None:
        import wasmtime
        from wasmtime import component as wc

        self.time, self.ends = 5_000, list[int]()
        self.engine = wasmtime.Engine()
        component = wc.Component(self.engine, wasm)
        linker = wc.Linker(self.engine)
        kind = wc.ResourceType.host(7)
        with linker.root() as root:
            with root.add_instance("wasi:io/poll@0.2.0") as poll:
                poll.add_resource("pollable", kind, lambda _store, _rep: None)
                poll.add_func("[method]pollable.block", self._block)
            with root.add_instance("wasi:clocks/monotonic-clock@0.2.0") as clock:
                clock.add_resource("pollable", kind, lambda _store, _rep: None)
                clock.add_func("now", lambda _store: self.time)
                clock.add_func("subscribe-duration", lambda s, ns: self._new(s, self.time + ns))
                clock.add_func("subscribe-instant", self._new)
        self.store = wasmtime.Store(self.engine)
        self.instance = linker.instantiate(self.store, component)

    def _new(self, store: object, end: int) -> object:
        from wasmtime import component as wc

        self.ends.append(min(end, _MASK))
        return wc.ResourceHost.own(len(self.ends) - 1, 7).to_any(store)

    def _block(self, store: object, pollable: object) -> None:
        self.time = max(self.time, self.ends[-1])
        pollable.drop(store)  # type: ignore[attr-defined]

    def call(self, name: str, *args: int) -> object:
        func = self.instance.get_func(self.store, name)
        assert func is not None
        return func(self.store, *args)


def test_a_wait_takes_as_long_as_the_host_says(policy: Make) -> None:  # noqa: F811
    rules = policy("virtual: { clocks: { start: 2026-01-01 } }")
    host = Waits(b"".join(guarded(wat2wasm(WAITING), "a", rules, "deny", "none").pieces))
    assert host.call("now") == 10**9
    host.call("for", 3_000)
    assert (host.time, host.call("now")) == (8_000, 10**9 + 3_000)
    # An instant is one of the policy's clock: two more microseconds, whatever the host's says.
    host.call("until", 10**9 + 5_000)
    assert (host.time, host.call("now")) == (10_000, 10**9 + 5_000)
    host.call("until", 10**9)  # has passed
    assert (host.time, host.call("now")) == (10_000, 10**9 + 5_000)


def test_a_wait_that_goes_on_moves_no_clock(policy: Make) -> None:  # noqa: F811
    rules = policy("virtual: { clocks: { start: 2026-01-01 } }")
    host = Waits(b"".join(guarded(wat2wasm(WAITING), "a", rules, "deny", "none").pieces))
    for ns in (9_000, 4_000, _MASK):
        host.call("begin", ns)
    assert host.ends == [14_000, 9_000, _MASK]
    assert host.call("now") == 10**9
    host.time = 9_000
    assert [host.call("now"), host.call("now")] == [10**9 + 4_000] * 2
    host.time = 1 << 40
    assert host.call("now") == 10**9 + 9_000
    for ns in range(200):  # more than are kept: the last of them are
        host.call("begin", ns)
    host.time += 1000
    assert host.call("now") == 10**9 + 9_000 + 199


# --- files ---------------------------------------------------------------------------------------


def test_there_are_no_files(policy: Make, tmp_path: Path) -> None:  # noqa: F811
    wasm, rules = path_of("c_command").read_bytes(), policy("virtual: { files: {} }")
    component = b"".join(guarded(wasm, "app.wasm", rules, "deny", "none").pieces)
    names = {row.item for row in analyse(component, "a").subject.imports}
    assert "wasi:filesystem/types@0.2.0" in names
    assert "wasi:filesystem/preopens@0.2.0" not in names
    (tmp_path / "data").mkdir()
    before = run_command(wasm, directory=tmp_path / "data")
    after = run_command(component, directory=tmp_path / "data")
    assert b"directory: /data" in before.stdout
    assert b"directory: none" in after.stdout and after.status == 0


@pytest.mark.parametrize("declared", (
    '(export "descriptor" (type $d (sub resource)))',
    '(alias outer 1 $descriptor (type $o)) (export "descriptor" (type $d (eq $o)))',
), ids=("its own", "that of another import"))  # fmt: skip
def test_the_type_of_files_stays_where_it_is(declared: str, policy: Make) -> None:  # noqa: F811
    types = """(import "wasi:filesystem/types@0.3.0" (instance $types
        (export "descriptor" (type $d (sub resource)))))
      (alias export $types "descriptor" (type $descriptor))"""
    wasm = wat2wasm(f"""(component {types if "outer" in declared else ""}
      (import "wasi:filesystem/preopens@0.3.0" (instance $preopens {declared}
        (export "get-directories" (func (result (list (tuple (own $d) string)))))))
      {MEMORY}
      (core func $f (canon lower (func $preopens "get-directories")
        (memory $m) (realloc (func $r))))
      (core module $c (import "" "f" (func $f (param i32))) (import "" "m" (memory 1))
        (func (export "ask") (result i32)
          (i32.store (i32.const 20) (i32.const 7)) (call $f (i32.const 16))
          (i32.load (i32.const 20))))
      (core instance $c (instantiate $c (with "" (instance
        (export "f" (func $f)) (export "m" (memory $m))))))
      (func (export "ask") (result u32) (canon lift (core func $c "ask"))))""")
    component = guarded(wasm, "a", policy("virtual: { files: {} }"), "deny", "none")
    offers = {"": {"descriptor": 1, "get-directories": lambda *_: pytest.fail("was asked")}}
    made = b"".join(component.pieces)
    if "outer" in declared:
        assert [row.item for row in analyse(made, "a").subject.imports] == [
            "wasi:filesystem/types@0.3.0"
        ]
        del offers[""]["get-directories"]
    found = reach(made, offers)
    assert (found.value, found.trap) == (0, "")


def test_parts_whose_types_lead_in_a_circle(policy: Make) -> None:  # noqa: F811
    """The files' import speaks of a clock's record, the directories' of the files' resource."""
    wasm = wat2wasm(f"""(component
      (import "wasi:clocks/wall-clock@0.2.0" (instance $wall {DATETIME}
        (export "datetime" (type $e (eq $d))) (export "now" (func (result $e)))))
      (alias export $wall "datetime" (type $datetime))
      (import "wasi:filesystem/types@0.2.0" (instance $types
        (alias outer 1 $datetime (type $o)) (export "datetime" (type $t (eq $o)))
        (export "descriptor" (type $d (sub resource)))
        (export "[method]descriptor.changed" (func (param "self" (borrow $d)) (result $t)))))
      (alias export $types "descriptor" (type $descriptor))
      (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
        (alias outer 1 $descriptor (type $o)) (export "descriptor" (type $d (eq $o)))
        (export "get-directories" (func (result (list (tuple (own $d) string)))))))
      {MEMORY}
      (core func $dirs (canon lower (func $preopens "get-directories")
        (memory $m) (realloc (func $r))))
      (core func $now (canon lower (func $wall "now") (memory $m)))
      (core module $c (import "" "d" (func $d (param i32))) (import "" "n" (func $n (param i32)))
        (import "" "m" (memory 1))
        (func (export "ask") (result i64) (call $n (i32.const 32)) (call $d (i32.const 16))
          (i64.add (i64.load (i32.const 32)) (i64.load32_u (i32.const 20)))))
      (core instance $c (instantiate $c (with "" (instance
        (export "d" (func $dirs)) (export "n" (func $now)) (export "m" (memory $m))))))
      (func (export "ask") (result u64) (canon lift (core func $c "ask"))))""")
    rules = policy("virtual: { clocks: { start: 2026-01-01 }, files: {} }")
    made = b"".join(guarded(wasm, "a", rules, "deny", "none").pieces)
    assert [row.item for row in analyse(made, "a").subject.imports] == [
        "wasi:filesystem/types@0.2.0"
    ]
    offers = {"": {"descriptor": 1, "[method]descriptor.changed": lambda *_: None}}
    found = reach(made, offers)
    assert (found.value, found.trap) == (START, "")


# --- with other parts of a policy ----------------------------------------------------------------


def test_what_is_answered_is_not_denied(policy: Make) -> None:  # noqa: F811
    """A program may have random numbers that are not the host's."""
    rules = policy('imports: { deny: ["wasi:random/*"] }\nvirtual: { random: { seed: 1 } }')
    host = answering(RANDOM, rules)
    assert host.call("get-random-u64") == splitmix(1)()


def test_c_asks_nobody(policy: Make) -> None:  # noqa: F811
    wasm = path_of("c_command").read_bytes()
    rules = policy(
        "virtual: { environment: { GREETING: moin }, arguments: [command],"
        " clocks: { start: 2026-01-01 }, random: { seed: 5 } }\n"
        'imports: { deny: ["wasi:sockets/tcp-create-socket"] }'
    )
    found = guarded(wasm, "app.wasm", rules, "deny", "none")
    gone = {row.item for row in analyse(wasm, "a").subject.imports}
    gone -= {row.item for row in analyse(b"".join(found.pieces), "a").subject.imports}
    names = ("cli/environment", "clocks/monotonic-clock", "clocks/wall-clock", "random/random")
    assert gone == {f"wasi:{name}@0.2.0" for name in names}
    after = held(wasm, rules, "127.0.0.1:1", env={"GREETING": "hi"})
    assert after.stdout.startswith(b"greeting: moin\nclocks: go forward\nrandom: 16 bytes\n")
    assert after.status == 0 and said(after) == []  # the address is no argument of the policy


def test_python_has_the_time_and_the_numbers_of_the_policy(
    policy: Make, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    rules = policy(
        "virtual: { environment: { GREETING: moin }, clocks: { start: 2026-01-01, step_ms: 1 },"
        " random: { seed: 5 } }"
    )
    after = held(path_of("py_command").read_bytes(), rules, directory=tmp_path)
    assert (after.status, after.trap) == (0, "")
    assert b"clocks: True\nrandom: 16 True\n" in after.stdout and b"moinmoinmoin" in after.stdout


def test_warn_answers_nothing(policy: Make) -> None:  # noqa: F811
    rules = policy('virtual: { random: { seed: 1 } }\nimports: { deny: ["wasi:random/random"] }')
    found = guarded(RANDOM, "app.wasm", rules, "warn", "none")
    host = Host(b"".join(found.pieces), {"wasi:random/random@0.2.0": {
        "get-random-u64": lambda: 77, "get-random-bytes": lambda _: b""}})  # fmt: skip
    assert host.call("get-random-u64") == 77


SHAPES = {
    name: row if isinstance(row, str) else row[0]
    for name, row in {**shape.NAMES, **shape.PARTS, **shape.CORE, **shape.FORGED}.items()
    if name not in ("as a destructor", "in a destructor")
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_no_way_leads_to_the_host(text: str, policy: Make) -> None:  # noqa: F811
    """By whatever name and through whatever parts it is asked for, the number is the policy's."""
    component, plain = wat2wasm(text), Plain()
    reach(component, plain.offers())
    assert plain.calls
    host = Plain()
    rules = policy("virtual: { random: { seed: 1 } }")
    found = reach(b"".join(guarded(component, "a", rules, "deny", "none").pieces), host.offers())
    assert (host.calls, found.value, found.trap) == ([], splitmix(1)(), "")


REFUSED = {
    "a function that nobody knows": (
        passing("wasi:random/random@0.4.0", "", {"get-better-u64": NUMBER}),
        "wasi:random/random#get-better-u64 is not known"),
    "another type": (
        passing("wasi:random/random@0.2.0", "", {"get-random-u64": BYTES}),
        "wasi:random/random#get-random-u64 has another type here than in WASI"),
    "waits of 0.3": (
        passing("wasi:clocks/monotonic-clock@0.3.0", "",
                {"now": NUMBER, "wait-for": ('(param "how-long" u64) (result u64)', "i64", False)}),
        "wasi:clocks/monotonic-clock#wait-for is not known"),
}  # fmt: skip


@pytest.mark.parametrize(("wasm", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_answered_is_refused(
    wasm: bytes, why: str, policy: Make  # noqa: F811
) -> None:  # fmt: skip
    rules = policy("virtual: { random: { seed: 1 }, clocks: { start: 2026-01-01 } }")
    with pytest.raises(WeaveError, match=f"app.wasm cannot be guarded: {re.escape(why)}"):
        guarded(wasm, "app.wasm", rules, "deny")


def test_the_command_says_what_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, out = tmp_path / "policy.yaml", tmp_path / "guarded.wasm"
    rules.write_text("version: 1\nvirtual: { random: { seed: 1 } }\n")
    app = str(path_of("c_command"))
    assert main(["enforce", "--policy", str(rules), "-o", str(out), app]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"whamm-cm: wasi:random/random@0.2.0#{func}: is answered by the policy"
        for func in ("get-random-bytes", "get-random-u64")
    ]
