"""``tests.corpus_handlers``: what it finds the same, and what it finds different."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures import build
from tests import corpus_handlers as corpus
from tests.corpus_handlers import Answer
from tests.hosts.tools import need


def test_a_handler_answers_here_as_on_wasmtime(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("wasmtime")
    (tmp_path / "echo.wasm").write_bytes(build.build("http_echo"))
    (tmp_path / "none.wasm").write_bytes(build.build("run_command"))
    (tmp_path / "echo.requests").write_text("POST /more some words\n--env A=b\n")
    status = corpus.main([str(tmp_path)])
    said = capsys.readouterr().out
    assert status == 0, said
    # A large body is more than the guest can take: it traps, once in each of the three.
    assert f"same wasmtime: {len(corpus.REQUESTS) + 1} requests (200, 3 cut)" in said
    assert said.endswith("1 handlers, 1 the same, 0 different\n")


def found(want: Answer, have: Answer, again: Answer | None = None) -> list[str]:
    return list(corpus.differences("wasmtime", {"x": want}, {"x": again or want}, {"x": have}))


GOOD = Answer(200, (b"a: 1", b"b: 2"), b"body", (), True)


@pytest.mark.parametrize(
    "have",
    [
        Answer(201, GOOD.fields, b"body", (), True),
        Answer(200, GOOD.fields[::-1], b"body", (), True),
        Answer(200, GOOD.fields, b"bod", (), True),
        Answer(200, GOOD.fields, b"bod", (), False),
        Answer(200, GOOD.fields, b"body", (b"t: 1",), True),
        Answer(),
    ],
)
def test_differences(have: Answer) -> None:
    assert found(GOOD, GOOD) == []
    (text,) = found(GOOD, have)
    assert text.splitlines() == ["x", f"      wasmtime {GOOD}", f"      here     {have}"]


def test_what_is_no_difference() -> None:
    later = Answer(200, (b"a: 5", b"b: 2"), b"other", (), True)
    assert found(GOOD, Answer(200, (b"a: 9", b"b: 2"), b"third", (), True), later) == []
    assert found(GOOD, Answer(200, (b"a: 9",), b"third", (), True), later) != []
    cut = Answer(200, GOOD.fields, b"body", (), False)
    assert found(GOOD, cut) == []  # the guest trapped in it
    assert found(Answer(200, GOOD.fields, b"bo"), GOOD) == []  # theirs went too early
    assert found(Answer(), Answer(500, whole=True)) == []
    assert found(Answer(), GOOD) != []
