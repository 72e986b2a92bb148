"""The page of a gate's verdict."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.gate.making import component, judge
from tests.gate.test_markdown import HOSTILE, hostile
from tests.page.browser import DARK, PHONE
from whamm_cm.gate.model import Report, Unjudged
from whamm_cm.gate.outputs.html import gate_model, render

POLICY = """\
imports:
  default: deny  # talks to nobody
  allow: ["acme:shop/*"]
waivers:
  - {rule: WCM010, item: "wasi:random/*", reason: "a <runtime>", expires: 2027-03-01, owner: sre}
rules: {WCM040: {severity: warning, max_bytes: 9}}
"""


def report() -> Report:
    data = component(
        {
            "wasi:sockets/tcp@0.2.3": ("bind", "listen"),
            "wasi:random/random@0.2.0": ("get",),
            "acme:shop/cart@1.0.0": ("buy",),
            "wasi:clocks/wall-clock@0.2.0": ("now",),
        },
        calls="bind listen buy",
    )
    return judge(data, POLICY)


def findings(page) -> list[str]:
    return page.locator(".view-gate .finding .item").all_inner_texts()


def counted(page, number: int) -> None:
    """Waits until there are so many."""
    page.locator(".finding").nth(number - 1).wait_for()
    page.locator(".finding").nth(number).wait_for(state="detached")


def test_the_model_has_what_the_json_report_has() -> None:
    model = gate_model(report())
    rows = {(one["rule"], one["item"]): one for one in model["findings"]}
    tcp = rows["WCM010", "wasi:sockets/tcp@0.2.3"]
    assert tcp["fails"] and tcp["location"]["line"] == 3 and "talks to nobody" in tcp["quote"]
    assert tcp["paths"] == 2 and tcp["path"][-1]["name"] == tcp["to"]
    assert '"wasi:sockets/tcp@^0.2#{bind,listen}"' in tcp["allow"] and tcp["target"] == "p.yaml"
    waived = rows["WCM010", "wasi:random/random@0.2.0"]
    assert not waived["fails"] and waived["state"] == "(waived until 2027-03-01)"
    json.dumps(model, allow_nan=False)


def test_a_finding_says_all_that_one_can_act_on(open_page, axe, screenshot) -> None:
    page = open_page(render(report()))
    assert page.locator(".verdict").inner_text() == "✖ FAIL"
    first = page.locator(".finding").first
    assert first.get_attribute("open") is not None  # the first that fails
    first.locator("summary").click()
    box = page.locator(".finding", has_text="wasi:sockets/tcp@0.2.3")
    box.locator("summary").click()
    box.locator("h3").first.wait_for()
    text = box.inner_text()
    for part in (
        "p.yaml:3:3",
        "default: deny  # talks to nobody",
        "exported",
        "To allow it",
        "wasi:sockets/tcp@^0.2#{bind,listen}",
        "expires: 2027-02-19",
        "1 more function",
    ):
        assert part in text, part
    axe(page)
    screenshot(page, "gate")


def test_findings_are_chosen_and_a_link_keeps_the_choice(open_page) -> None:
    page = open_page(render(report()))
    assert len(findings(page)) == 6
    page.get_by_label("Find findings").fill("CLOCK wcm010")
    counted(page, 1)
    assert findings(page) == ["wasi:clocks/wall-clock@0.2.0"]
    again = open_page(render(report()), page.url.partition("#")[2])
    assert findings(again) == ["wasi:clocks/wall-clock@0.2.0"]
    again.get_by_label("Find findings").fill("")
    counted(again, 6)
    again.get_by_role("button", name="error").click()
    # A warning, and notes of what nothing reaches.
    rest = ["size", "wasi:clocks/wall-clock@0.2.0", "wasi:random/random@0.2.0"]
    assert findings(again) == rest
    again.get_by_role("button", name="error").click()
    again.get_by_label("Which findings").select_option("fails")
    assert len(findings(again)) == 2


def test_what_allows_it_is_copied(open_page) -> None:
    page = open_page(render(report()), permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy what allows it").first.click()
    page.locator(".snippet button", has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("imports:\n  allow:\n    - ")


def test_imports_of_what_was_judged(open_page) -> None:
    page = open_page(render(report()))
    page.locator(".component summary").click()
    page.locator(".component tr").first.wait_for()
    rows = page.locator(".component tr").all_inner_texts()
    assert "bind\tyes" in rows and "get\tno" in rows


@pytest.mark.parametrize("how", [DARK, PHONE], ids=["dark", "phone"])
def test_dark_and_on_a_phone(how: dict, open_page, axe, screenshot) -> None:
    page = open_page(render(report()), **how)
    page.locator(".view-gate").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    axe(page)
    screenshot(page, f"gate-{'phone' if how is PHONE else 'dark'}")


def test_names_of_a_guest_are_text(open_page, axe) -> None:
    page = open_page(render(hostile(HOSTILE)))
    assert page.locator(".verdict").inner_text() == "✖ FAIL"
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.locator(".findings .finding").last.locator("h3").first.wait_for()
    assert "<script>alert(1)</script>" in page.locator(".findings").inner_text()
    assert "\x1b" not in page.content() and "\u202e" not in page.locator("main").inner_text()
    axe(page)


def test_many_findings_come_in_parts(open_page) -> None:
    page = open_page(render(hostile("a", 1500)))
    assert page.locator(".finding").count() == 100
    page.get_by_role("button", name="2,900 more").click()
    assert page.locator(".finding").count() == 200


def test_nothing_found_and_nothing_judged(open_page, axe) -> None:
    page = open_page(render(Report("0.0.0", "", "error", ())))
    assert page.locator(".verdict").inner_text() == "✔ PASS"
    fault = Unjudged("a.wasm", "a.wasm: there is no such file")
    page = open_page(render(replace(Report("0.0.0", "", "error", ()), unjudged=(fault,))))
    assert "a.wasm: there is no such file" in page.locator(".not-judged").inner_text()
    axe(page)
