"""The page as a file: what may be in it, and what its modules keep to."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import whamm_cm.render.page.bundle as bundle

ASSETS = Path(bundle.__file__).parent / "assets"
SCRIPTS = sorted(path for path in ASSETS.rglob("*.js") if path.parent.name != "vendor")
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|importScripts"
    r"|setAttribute\(\s*['\"](?:style|on)|localStorage|sessionStorage|https?://(?!www\.w3\.org/)"
)


def html(**model: object) -> str:
    return "".join(bundle.page({"v": 1, "kind": "run", "title": "t", "by": "b", **model}))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ASSETS)))
def test_scripts_make_nothing_of_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not FORBIDDEN.search(text), f"{path.name}: {FORBIDDEN.search(text)}"
    assert "</script" not in text and "<!--" not in text
    assert text.count("\n") < 600
    assert max(map(len, text.split("\n"))) <= 120


def test_vendored_files_are_what_they_are_said_to_be() -> None:
    rows = json.loads((ASSETS / "vendor" / "vendor.json").read_text())
    for row in rows:
        data = (ASSETS / "vendor" / row["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"], row["file"]
        assert b"</script" not in data and b"<!--" not in data
    known = {row["file"] for row in rows} | {row["licence_file"] for row in rows} | {"vendor.json"}
    assert {path.name for path in (ASSETS / "vendor").iterdir()} == known


def test_the_same_model_gives_the_same_page_of_less_than_1_5_mb() -> None:
    assert html() == html()
    assert len(html().encode()) < 1_500_000


def test_what_a_model_says_is_no_markup() -> None:
    evil = "</script><script>alert(1)</script><!-- \u2028 \ud800"
    text = html(title=evil, run={"sites": [{"name": evil}]})
    ours = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "alert(1)</script>" not in ours and "<script>alert" not in ours
    model = re.search(r'id="model">(.*?)</script>', text, re.DOTALL)
    assert model and json.loads(model[1])["title"] == evil


def test_the_policy_allows_our_scripts_only() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html())
    assert policy
    assert "unsafe" not in policy[1] and "default-src 'none'" in policy[1]
    assert policy[1].count("'sha256-") == len(bundle.load().scripts) + len(bundle.load().styles)
    assert "connect-src" not in policy[1]
    assert "connect-src 'self'" in bundle.load().policy(live=True)


@pytest.mark.parametrize(
    "files, message",
    [
        ({"app.js": "import {b} from './b.js';\n",
          "b.js": "import {a} from './app.js';\n"}, "circle"),
        ({"app.js": "import {b} from './b.js';\n", "b.js": "const b = 1;\n"}, "which b.js has not"),
        ({"app.js": "import {b} from './b.js';\nconst c = 1;\n",
          "b.js": "export const b = 1;\nfunction c() {}\n"}, "both have c"),
        ({"app.js": "export default 1;\n"}, "in a way"),
    ],
)  # fmt: skip
def test_modules_that_do_not_fit(
    files: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_text", files.__getitem__)
    with pytest.raises(ValueError, match=message):
        bundle._joined()


def test_modules_run_behind_what_they_import(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "app.js": "import {\n  x,\n  y,\n} from './views/a.js';\nx(y);\n",
        "views/a.js": "import {z} from '../z.js';\nexport const y = z;\nexport function x() {}\n",
        "z.js": "export const z = 1;\n",
    }
    monkeypatch.setattr(bundle, "_text", files.__getitem__)
    assert bundle._joined() == "const z = 1;\nconst y = z;\nfunction x() {}\nx(y);\n"


def test_trace_makes_a_page_beside_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from fixtures.build import path_of
    from whamm_cm.cli.main import main

    out = tmp_path / "run.html"
    assert main(["trace", "--html", str(out), str(path_of("c_command"))]) == 0
    assert "export wasi:cli/run#run()" in capfd.readouterr().err
    model = re.search(r'id="model">(.*?)</script>', out.read_text(), re.DOTALL)
    assert model
    shown = json.loads(model[1])
    assert shown["run"]["calls"] > 1 and shown["component"]
    assert [p.name for p in tmp_path.iterdir()] == ["run.html"]
    assert main(["trace", "--html", "-", str(path_of("c_command"))]) == 2
