"""``whamm-cm enforce``: variables and settings that a policy does not allow never come in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.build import path_of
from fixtures.running import run_command
from tests.cli.asking_host import Host, passing
from tests.cli.test_enforce import held, policy, said  # noqa: F401 (a fixture)
from whamm_cm.errors import UsageError
from whamm_cm.front.guarding import guarded
from whamm_cm.gate.policy import Policy

Make = Callable[[str], Policy]

PAIRS = "(result (list (tuple string string)))"
ENVIRONMENT = passing(
    "wasi:cli/environment@0.2.0", "",
    {"get-environment": (PAIRS, "", True), "get-arguments": ("(result (list string))", "", True)},
)  # fmt: skip
LATER = passing("wasi:cli/environment@0.3.0", "", {"get-environment": (PAIRS, "", True)})
ERROR = """(type $e (variant (case "upstream" string) (case "io" string)))
  (export "error" (type $shared (eq $e)))"""
CONFIG = passing(
    "wasi:config/store@0.2.0-rc.1", ERROR,
    {"get": ('(param "key" string) (result (result (option string) (error $shared)))',
             "i32 i32", True),
     "get-all": ("(result (result (list (tuple string string)) (error $shared)))", "", True)},
)  # fmt: skip

#: What the host has: a name in two spellings, one without a value, and letters of all kinds.
HAS = [
    ("PATH", "/bin"), ("TOKEN", "secret"), ("token", "other"), ("TOKEN2", "no"), ("TOKE", ""),
    ("Ärger", "ä"), ("TO\u212aEN", "kelvin"), ("", "nameless"), ("LANG", "C" * 300),
]  # fmt: skip
RULES = {
    "denied": ("deny: [{ key: TOKEN }]", ["PATH", "TOKEN2", "TOKE", "", "LANG"]),
    "allowed": ("allow: [{ key: PATH }, { key: token }, { key: Ärger }]",
                ["PATH", "token", "Ärger"]),
    "both": ("allow: [{ key: PATH }, { key: TOKEN }], deny: [{ key: token }]", ["PATH"]),
    "nothing": ("allow: []", []),
}  # fmt: skip


def shown(wasm: bytes, rules: Policy, mode: str = "deny") -> tuple[object, Host]:
    component = b"".join(guarded(wasm, "app.wasm", rules, mode, "none").pieces)  # type: ignore[arg-type]
    gives = {"get-environment": lambda: HAS, "get-arguments": lambda: ["app", "TOKEN"]}
    names = ("wasi:cli/environment@0.2.0", "wasi:cli/environment@0.3.0")
    host = Host(component, dict.fromkeys(names, gives))
    return host.call("get-environment"), host


@pytest.mark.parametrize(("text", "keys"), RULES.values(), ids=RULES)
@pytest.mark.parametrize("wasm", (ENVIRONMENT, LATER), ids=("0.2", "0.3"))
def test_only_what_is_allowed_comes_in(
    wasm: bytes, text: str, keys: list[str], policy: Make  # noqa: F811
) -> None:  # fmt: skip
    rules = policy(f"permissions: {{ environment: {{ {text} }} }}")
    found, host = shown(wasm, rules)
    assert found == [pair for pair in HAS if pair[0] in keys]
    assert host.call("get-environment") == found
    assert host.asked == ["get-environment"] * 2
    if wasm is ENVIRONMENT:
        assert host.call("get-arguments") == ["app", "TOKEN"]


def test_a_denied_value_is_replaced_where_there_is_one(policy: Make) -> None:  # noqa: F811
    rules = policy(
        "permissions: { environment: { allow: [{ key: PATH }],"
        " deny: [{ key: TOKEN, replace: none of yours }, { key: MISSING, replace: x },"
        " { key: TOKE, replace: '' }, { key: LANG }] } }"
    )
    found, _ = shown(ENVIRONMENT, rules)
    assert found == [
        ("PATH", "/bin"), ("TOKEN", "none of yours"), ("token", "none of yours"), ("TOKE", ""),
    ]  # fmt: skip


def test_settings(policy: Make) -> None:  # noqa: F811
    rules = policy(
        "permissions: { environment: { deny: [{ key: TOKEN }, { key: URL, replace: http://x }] } }"
    )
    component = b"".join(guarded(CONFIG, "app.wasm", rules, "deny", "none").pieces)
    values = {"TOKEN": "secret", "URL": "http://y", "NAME": "n"}
    gives = {"get": values.get, "get-all": lambda: [*values.items()]}
    host = Host(component, {"wasi:config/store@0.2.0-rc.1": gives})
    assert host.call("get-all") == [("URL", "http://x"), ("NAME", "n")]
    assert host.call("get", "NAME") == "n"
    assert host.call("get", "MISSING") is None
    assert host.asked == ["get-all", "get", "get"]
    for key, value in (("TOKEN", None), ("tOKEN", None), ("url", "http://x")):
        assert host.call("get", key) == value
    assert len(host.asked) == 3


def test_an_error_of_the_host_is_handed_on(policy: Make) -> None:  # noqa: F811
    from wasmtime.component import Variant

    rules = policy("permissions: { environment: { deny: [{ key: TOKEN }] } }")
    component = b"".join(guarded(CONFIG, "app.wasm", rules, "deny", "none").pieces)
    fault = Variant("upstream", "gone")
    gives = {"get": lambda key: key, "get-all": lambda: fault}
    found = Host(component, {"wasi:config/store@0.2.0-rc.1": gives}).call("get-all")
    assert (found.tag, found.payload) == ("upstream", "gone")  # type: ignore[attr-defined]


def test_c_is_not_shown_and_the_log_says_so(policy: Make) -> None:  # noqa: F811
    wasm = path_of("c_command").read_bytes()
    env = {"GREETING": "hi", "TOKEN": "secret", "HOME": "/"}
    rules = policy("permissions: { environment: { allow: [{ key: HOME }] } }")
    assert b"greeting: hi" in run_command(wasm, env=env).stdout
    after = held(wasm, rules, env=env)
    assert b"greeting: hello" in after.stdout and (after.status, after.trap) == (0, "")
    about = "wasi:cli/environment@0.2.0#get-environment"
    why = "(policy.yaml:2: permissions.environment)"
    assert said(after) == [f"enforce: hid {about} {key} {why}" for key in ("GREETING", "TOKEN")]
    warned = held(wasm, rules, mode="warn", env=env)
    assert b"greeting: hi" in warned.stdout
    assert said(warned) == [
        f"enforce: would hide {about} {key} {why}" for key in ("GREETING", "TOKEN")
    ]


def test_other_parts_of_the_policy_hold_beside_it(policy: Make) -> None:  # noqa: F811
    wasm = path_of("c_command").read_bytes()
    rules = policy(
        'imports: { deny: ["wasi:random/random#get-random-u64"] }\n'
        "permissions: { environment: { deny: [{ key: GREETING }] } }\n"
        'budgets: { "wasi:random/random#get-random-bytes": { max_calls_per_invocation: 1 } }'
    )
    after = held(wasm, rules, env={"GREETING": "hi"})
    assert b"greeting: hello" in after.stdout and b"random: 16 bytes" in after.stdout
    assert "unreachable" in after.trap
    assert [line.split(" (")[0] for line in said(after)][-2:] == [
        "enforce: denied wasi:random/random@0.2.0#get-random-u64",
        "abort: enforce: wasi:random/random@0.2.0#get-random-u64 is denied",
    ]


@pytest.mark.parametrize(("text", "why"), (
    ("allow: [{ key: A, replace: b }]", "replace belongs to deny"),
    ("deny: [{ key: A, replace: 1 }]", "replace must be text"),
    ("deny: [{ key: Ärger }]", "denies keys of ASCII only"),
))  # fmt: skip
def test_what_is_no_rule(text: str, why: str, policy: Make) -> None:  # noqa: F811
    with pytest.raises(UsageError, match=why):
        guarded(ENVIRONMENT, "a", policy(f"permissions: {{ environment: {{ {text} }} }}"), "deny")
