"""Files people write: what is wrong is one sentence with file, line and column."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whamm_cm.errors import InputError, UsageError
from whamm_cm.gate import yamldoc
from whamm_cm.gate.yamldoc import load, load_all

BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in ("ab", "bc", "cd"))

REFUSED = [
    ("", "f.yaml:1:1: the file is empty"),
    ("a: 1\na: 2\n", 'f.yaml:2:1: the key "a" is there already, on line 1'),
    ("x:\n  - {k: 1, k: 2}\n", 'f.yaml:2:12: the key "k" is there already, on line 2'),
    (BOMB, "f.yaml:1:4: anchors (&a) are not allowed here; write it out"),
    ("a: *b\n", "f.yaml:1:4: aliases (*b) are not allowed here; write it out"),
    ("<<: {a: 1}\n", "f.yaml:1:1: merge keys (<<) are not allowed; write it out"),
    (
        "a: !!python/name:os.system x\n",
        "f.yaml:1:4: tags (tag:yaml.org,2002:python/name:os.system)",
    ),
    ("a: !x 1\n", "f.yaml:1:4: tags (!x) are not allowed here"),
    ("a:\n\t- 1\n", "f.yaml:2:1: not YAML: while scanning for the next token, found character"),
    ("a: [1\n", "f.yaml:2:1: not YAML: while parsing a flow sequence"),
    ("a: 'x\n", "f.yaml:2:1: not YAML: while scanning a quoted scalar"),
    ("? [a]\n: 1\n", "f.yaml:1:3: a key must be text, not a list"),
    ("a: 1\n---\nb: 2\n", "f.yaml:3:1: a second document; one is expected"),
    ("a: 2027-02-30\n", 'f.yaml:1:4: "2027-02-30" makes no sense: day'),
    ("a: \x07\n", "f.yaml:1:4: YAML does not allow the character U+0007"),
    ('a: "x\\ud800"\n', "f.yaml:1:4: \\ud800 is half a character, which is no text"),
    ('"\\udc00\\ud83d": 1', "f.yaml:1:1: \\udc00 is half a character, which is no text"),
    ('b: 1\na: "x\\UFFFFFFFF"\n', "f.yaml:2:6: not YAML: Python int too large to convert"),
    ('a: "\\U00110000"\n', "f.yaml:1:5: not YAML: chr() arg not in range"),
    ("%YAML 1." + "9" * 5000 + "\n--- 1", "f.yaml:1:1: not YAML: Exceeds the limit"),
    ("[" * 70 + "]" * 70, "f.yaml:1:65: nested more than 64 deep"),
]


@pytest.mark.parametrize(
    ("text", "sentence"), REFUSED, ids=[s.split(": ", 1)[1] for _, s in REFUSED]
)
def test_what_is_wrong_is_said_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text.encode(), "f.yaml")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_characters_as_json_escapes_them() -> None:
    assert load(json.dumps({"a": "x😀é"}).encode(), "f").value["a"].value == "x😀é"


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(UsageError, match=r"^f.yaml:2:4: not UTF-8 text$"):
        load(b"a: 1\nb: \xff\n", "f.yaml")


def test_files_of_a_size_nobody_writes() -> None:
    with pytest.raises(UsageError, match="f.yaml:1:1: larger than 1 MiB"):
        load(b"a" * (yamldoc.MAX_BYTES + 1), "f.yaml")


def test_more_values_than_anybody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamldoc, "MAX_NODES", 50)
    with pytest.raises(UsageError, match=r"f.yaml:1:\d+: more than 50 values"):
        load(b"[" + b"1," * 51 + b"]", "f.yaml")


def test_places_count_from_one_and_keys_have_them_too() -> None:
    node = load(b"# head\nimports:\n  allow:\n    - wasi:io/*\n", "p.yaml")
    imports = node.value["imports"]
    (line,) = imports.value["allow"].value
    assert str(node.keys["imports"]) == "p.yaml:2:1"
    assert str(imports.keys["allow"]) == "p.yaml:3:3"
    assert str(line.location) == "p.yaml:4:7"


def test_several_documents_and_another_error() -> None:
    one, two = load_all(b"a: 1\n---\n---\nb: 2\n", "m.yaml")
    assert (list(one.value), list(two.value)) == (["a"], ["b"])
    with pytest.raises(InputError, match="^m.yaml:1:4: anchors"):
        load_all(b"a: &x 1\n", "m.yaml", InputError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: no", 'a must be text, not "no"; quote it'),
        ("a: 1.0", 'a must be text, not "1.0"; quote it'),
        ("a: 2027-01-01", 'a must be text, not "2027-01-01"; quote it'),
        ("a:", "a must be text, not nothing"),
        ("a: ''", "a is empty"),
        ("a: [x]", "a must be text, not a list"),
        ("a: {x: y}", "a must be text, not a mapping"),
    ],
)
def test_text_has_to_look_like_text(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text.encode(), "f").value["a"].string("a")
    assert str(caught.value) == f"f:1:{4 if text != 'a:' else 3}: {message}"


def test_an_unknown_key_is_met_with_the_nearest() -> None:
    node = load(b"alow: []", "f")
    with pytest.raises(UsageError, match=r'f:1:1: unknown key "alow"; did you mean "allow"\? in x'):
        node.mapping("x", ("allow", "deny"))


@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_fail(data: bytes) -> None:
    try:
        load_all(data, "f")
    except UsageError as error:
        assert str(error).startswith("f:")


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?<=~ \n\t0.1", max_size=40))
def test_no_text_does_more_than_fail(text: str) -> None:
    try:
        load_all(text.encode(), "f")
    except UsageError as error:
        assert str(error).startswith("f:") and "\n" not in str(error)
