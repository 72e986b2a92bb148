"""Wrong scripts and what is said about them: drop a ``.mm`` file into ``errors`` and bless it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import check_golden
from tests.lang.samples import at_site
from whamm_cm.errors import UsageError
from whamm_cm.lang.source import ScriptError

ERRORS = Path(__file__).parent / "errors"
WRONG = sorted(ERRORS.glob("*.mm"))


def test_there_are_many() -> None:
    assert len(WRONG) >= 60


@pytest.mark.parametrize("path", WRONG, ids=lambda path: str(path.stem))
def test_a_wrong_script_is_told_what_is_wrong(path: Path) -> None:
    with pytest.raises(ScriptError) as caught:
        at_site(path.read_text(encoding="utf-8"), name=path.name)
    assert isinstance(caught.value, UsageError) and caught.value.exit_code == 2
    check_golden(path.with_suffix(".txt"), str(caught.value) + "\n")


@pytest.mark.parametrize(
    "text",
    [
        "wasm:func:entry / " + "(" * 5000 + "true" + ")" * 5000 + " / { }",
        "wasm:func:entry / " + "!" * 5000 + "true / { }",
        "var x: i32 = 1" + " + 1" * 5000 + ";\nwasm:func:entry { }",
        "var x: " + "(" * 3000 + "i32" + ")" * 3000 + ";\nwasm:func:entry { }",
        "wasm:func:entry {" + "if (true) {" * 3000 + "}" * 3000 + "}",
        "wasm:func:entry { if (true) { }" + " elif (true) { }" * 3000 + "}",
        "wasm:func:entry { x = " + "f(" * 3000 + ")" * 3000 + "; }",
        'wasm:func:entry / fname.matches("' + "(" * 3000 + "a" + ")" * 3000 + '") / { }',
    ],
)
def test_deep_nesting_is_refused_or_fine_but_never_a_recursion_error(text: str) -> None:
    try:
        at_site(text)
    except ScriptError as error:
        assert len(str(error)) < 1000


def test_long_chains_of_or_are_no_nesting() -> None:
    terms = " || ".join(f"fid == {number}" for number in range(3000))
    assert at_site(f"wasm:func:entry / {terms} / {{ }}") == []
