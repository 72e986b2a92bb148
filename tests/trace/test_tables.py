"""Site tables kept by nonce, and those of woven files."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from fixtures.build import build
from tests.agent.harness import NONCE
from tests.agent.sample import site, table
from tests.weave.host import everything
from whamm_cm.agent.table import SiteTable, packed_table, unpacked_table
from whamm_cm.analysis.stamp import woven_table
from whamm_cm.errors import InputError
from whamm_cm.trace import tables
from whamm_cm.weave.api import weave
from whamm_cm.weave.plan import Plan, fresh_nonce

TABLE = table(site())


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_table_is_found_by_its_nonce(tmp_path: Path) -> None:
    assert tables.table_for(NONCE) is None
    tables.keep_table(NONCE, packed_table(TABLE))
    assert tables.table_for(NONCE) == SiteTable.parse(TABLE)
    assert [path.name for path in (tmp_path / "whamm-cm" / "tables").iterdir()] == [NONCE]


@pytest.mark.parametrize("data", [b"", b"x", zlib.compress(b"x"), packed_table(TABLE)[:-3]])
def test_a_damaged_table_is_as_good_as_none(tmp_path: Path, data: bytes) -> None:
    tables.keep_table(NONCE, packed_table(TABLE))
    (tmp_path / "whamm-cm" / "tables" / NONCE).write_bytes(data)
    assert tables.table_for(NONCE) is None


@pytest.mark.parametrize("nonce", ["", "../../secret", "ABCDEFGHIJ23", "a" * 13, "a\0cdefghij23"])
def test_what_is_no_nonce_names_no_file(nonce: str) -> None:
    assert tables.table_for(nonce) is None


def test_a_folder_that_cannot_be_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tables.keep_table(NONCE, packed_table(TABLE))
    assert tables.table_for(NONCE) is None


def test_old_tables_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_KEPT", 3)
    nonces = [fresh_nonce() for _ in range(5)]
    for age, nonce in enumerate(nonces):
        tables.keep_table(nonce, packed_table(TABLE))
        os.utime(tmp_path / "whamm-cm" / "tables" / nonce, (age, age))
    tables.keep_table(NONCE, packed_table(TABLE))
    kept = [tables.table_for(nonce) is not None for nonce in (*nonces, NONCE)]
    assert kept == [False, False, False, True, True, True]


@pytest.mark.parametrize("sink", ["stderr", "logging", "host", "none"])
def test_every_woven_file_has_its_table(sink: str) -> None:
    nonce = NONCE if sink in ("stderr", "logging") else ""
    plan = Plan(trace=everything, sink=sink, nonce=nonce)  # type: ignore[arg-type]
    woven = weave(build("strings"), plan)
    assert woven_table(woven.wasm, "x") == (nonce, SiteTable.parse(woven.table))


def test_another_file_has_none() -> None:
    data = weave(build("strings"), Plan(trace=everything)).wasm
    for other in (build("strings"), b"", b"\0asm", data[: len(data) // 2], b"\0asm\1\0\0\0\0\xff"):
        with pytest.raises(InputError, match="has no table of sites"):
            woven_table(other, "x")


def test_tables_of_either_form_are_read() -> None:
    assert unpacked_table(packed_table(TABLE)) == unpacked_table(TABLE) == TABLE
    assert unpacked_table(b"") is None
