"""What hosts say of each manifest of a table, and what the gate says: the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.manifest_cases import CASES, COMPONENTS, RELEASES, Case
from tests.hosts.operator import NUMBERS, NUMBERS_2_7, Host, request_of, wash_host
from tests.registry.server import registry
from whamm_cm.cli.main import main

PROGRAMS = {
    "2.7": ("wash-2.7", NUMBERS_2_7),
    "2.8": ("wash-2.8", NUMBERS_2_7),
    "2.9": ("wash-2.9", NUMBERS),
    "2.10": ("wash", NUMBERS),
}
DOCS = Path(__file__).parents[2] / "docs" / "manifest.md"


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Host, str]]:
    """The release, a host of it with an option, and the registry that has the components."""
    release, option = request.param
    program, _ = PROGRAMS[release]
    folder = tmp_path_factory.mktemp("host")
    images = {f"{name}:1": wasm for name, wasm in COMPONENTS.items()}
    with registry(images) as address, wash_host(folder, program, *filter(None, [option])) as host:
        yield release, host, address


def hosts(option: str = "") -> pytest.MarkDecorator:
    """A host of each release, started with the option, for all cases that need it."""
    runs = [(release, option) for release in RELEASES]
    return pytest.mark.parametrize("running", runs, indirect=True, ids=RELEASES, scope="module")


def cases(option: str = "") -> pytest.MarkDecorator:
    found = [case for case in CASES if case.option == option]
    return pytest.mark.parametrize("case", found, ids=lambda case: case.what)


@hosts()
@cases()
def test_hosts_start_what_the_table_says(running: tuple[str, Host, str], case: Case) -> None:
    assert_as_said(running, case)


@hosts("--wasi-otel")
@cases("--wasi-otel")
def test_hosts_with_an_option(running: tuple[str, Host, str], case: Case) -> None:
    assert_as_said(running, case)


def assert_as_said(running: tuple[str, Host, str], case: Case) -> None:
    release, host, address = running
    images = {name: f"{address}/{one}:1" for name, one in case.components.items()}
    started: list[str] = []
    try:
        for document in case.manifest.split("---\n"):
            name, fault = host.start(request_of(document, images, PROGRAMS[release][1]))
            started += [] if fault else [name]
            assert (not fault) is (release in case.started), fault
    finally:
        for name in started:
            host.stop(name)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_the_gate_says_the_same(
    case: Case, release: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "deploy.yaml"
    manifest.write_text(case.manifest)
    apps = []
    for name, one in case.components.items():
        app = tmp_path / ("app.wasm" if name == "service" else f"{name}.wasm")
        app.write_bytes(COMPONENTS[one])
        apps.append(str(app))
    status = main(["gate", "--manifest", str(manifest), "--wasmcloud", release, *apps])
    out = capsys.readouterr().out
    errors = re.findall(r"error +(WCM\d+)", out)
    assert not case.warns or re.search(rf"warning +{case.warns}", out), out
    refused = bool(case.rule) and release not in case.started or case.admission
    assert (status, sorted(set(errors))) == ((1, [case.rule]) if refused else (0, []))


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| (.+?)" + r" \| (yes|no)" * 4 + r" \| (.*?) \|$", DOCS.read_text(), re.M)
    assert rows == [
        (
            case.what,
            *("yes" if release in case.started else "no" for release in RELEASES),
            f"`{case.rule or case.warns}`" if case.rule or case.warns else "",
        )
        for case in CASES
    ]
