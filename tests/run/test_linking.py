"""Imports the host does not have: named all at once, stubbed on request."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from tests.run.guests import assemble
from whamm_cm.errors import RunError
from whamm_cm.run.embedded import run_component


def _wat(text: str) -> bytes:
    return bytes(wat2wasm(text))


def test_all_unknown_imports_are_named_with_the_remedy() -> None:
    with pytest.raises(RunError) as caught:
        run_component(assemble("run_unknown"), invoke="leave", cache=False)
    assert str(caught.value) == (
        "the component imports acme:db/types@1.0.0 (row), acme:db/store@1.0.0 (find), plain, which "
        "the embedded host does not have; --stub-imports runs it with stubs that trap when called"
    )


def test_stubs_let_the_rest_run() -> None:
    outcome = run_component(assemble("run_unknown"), invoke="leave", cache=False, stub_imports=True)
    assert (outcome.status, outcome.result) == (0, "3")


def test_a_stub_traps_by_name() -> None:
    outcome = run_component(assemble("run_unknown"), invoke="touch", cache=False, stub_imports=True)
    assert outcome.status == 134
    assert outcome.trap is not None
    assert outcome.trap.message == "the stub of the unknown import plain was called"


def test_stubs_leave_wasi_alone(command: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """wasmtime's own stubbing takes 0.2.0 for unknown, because it has 0.2.12."""
    outcome = run_component(command, args=["x", "h"], cache=False, stub_imports=True)
    assert outcome.status == 0
    assert capfd.readouterr().out == "hello\n"


def test_a_function_wasi_does_not_have() -> None:
    wasm = _wat("""(component
      (import "wasi:cli/environment@0.2.0" (instance (export "get-nonsense" (func))))
      (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))""")
    with pytest.raises(RunError, match=r"imports wasi:cli/environment@0.2.0 \(get-nonsense\), "):
        run_component(wasm, invoke="f", cache=False)
    assert run_component(wasm, invoke="f", cache=False, stub_imports=True).status == 0


def test_a_long_list_is_cut() -> None:
    imports = "".join(f'(import "f{i}" (func))' for i in range(20))
    with pytest.raises(RunError, match="imports f0, f1, .*, f11 and 8 more, which the embedded"):
        run_component(
            _wat(f"""(component {imports}
              (core module $m (func (export "f"))) (core instance $i (instantiate $m))
              (func (export "f") (canon lift (core func $i "f"))))"""),
            invoke="f",
            cache=False,
        )


def test_what_no_stub_can_replace() -> None:
    wasm = _wat("""(component
      (import "acme:a/b" (instance (export "f" (func async (param "x" u32)))))
      (import "plain" (func))
      (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))""")
    with pytest.raises(
        RunError, match=r"cannot provide acme:a/b \(f\) \[type mismatch with async\]"
    ):
        run_component(wasm, invoke="f", cache=False, stub_imports=True)


def test_the_sink_is_unknown_when_nobody_listens() -> None:
    with pytest.raises(RunError, match=r"imports whamm:cm/sink \(emit\), "):
        run_component(assemble("run_sink"), invoke="send(1)", cache=False)


def test_no_guest_code_runs_while_imports_are_looked_up(
    command: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """A start function that would never end does not matter before all imports are there."""
    wasm = _wat("""(component
      (import "plain" (func))
      (core module $m (func $loop (loop $l (br $l))) (start $loop) (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))""")
    with pytest.raises(RunError, match="imports plain, "):
        run_component(wasm, invoke="f", cache=False)


def test_a_trap_in_a_start_function_is_the_guests() -> None:
    wasm = _wat("""(component
      (core module $m (func $bad unreachable) (start $bad) (func (export "f")))
      (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))""")
    outcome = run_component(wasm, invoke="f", cache=False)
    assert outcome.status == 134
