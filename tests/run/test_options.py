from __future__ import annotations

import pytest

from whamm_cm.errors import UsageError
from whamm_cm.run.options import Dir, parse_dir, parse_env


def test_directories() -> None:
    assert parse_dir("data") == Dir("data", "data")
    assert parse_dir("/srv/data::/data") == Dir("/srv/data", "/data")
    for bad in ("", "::/x", "x::"):
        with pytest.raises(UsageError, match="expected HOST or HOST::GUEST"):
            parse_dir(bad)


def test_environment() -> None:
    assert parse_env("A=b=c") == ("A", "b=c")
    assert parse_env("A=") == ("A", "")
    assert parse_env("HOME", {"HOME": "/root"}) == ("HOME", "/root")
    assert parse_env("GONE", {}) is None
    with pytest.raises(UsageError, match="expected NAME=VALUE or NAME"):
        parse_env("=x")
