"""Versions and version patterns."""

from __future__ import annotations

import pytest

from whamm_cm.errors import UsageError
from whamm_cm.wit.semver import PatternError, Version, VersionPattern, compare, version_matches


@pytest.mark.parametrize(
    ("pattern", "version", "expected"),
    [
        # pattern, version, does it match
        (None, None, True),
        (None, "0.2.0-draft", True),
        ("*", None, True),
        ("*", "9.9.9", True),
        ("0.2", None, False),
        ("0.2", "0.2.0", True),
        ("0.2", "0.2.9", True),
        ("0.2", "0.3.0", False),
        ("0.2", "1.2.0", False),
        ("0.2.3", "0.2.3", True),
        ("0.2.3", "0.2.6", True),
        ("0.2.3", "0.2.2", False),
        ("0.2.3", "0.3.0", False),
        ("0.2.3", "0.2", True),  # a canonical name: any 0.2.x
        ("^0.2.0", "0.2.5", True),
        ("^0.2.0", "0.3.0", False),
        ("0", "0.2.5", True),
        ("0", "1.0.0", False),
        ("0.0", "0.0.7", True),
        ("0.0", "0.1.0", False),
        ("0.0.7", "0.0.7", True),
        ("0.0.7", "0.0.8", False),
        ("1", "1.9.0", True),
        ("1.2", "1.9.0", True),
        ("1.2", "1.1.0", False),
        ("1.2.3", "1.10.0", True),
        ("1", "2.0.0", False),
        ("1.2.3", "1", True),
        ("=0.2.3", "0.2.3", True),
        ("=0.2.3", "0.2.4", False),
        ("=0.2", "0.2.4", True),
        ("=0.2", "0.3.4", False),
        ("=0.2.3", "0.2.3+linux", True),
        ("=0.2.3+mac", "0.2.3+linux", False),
        ("0.2.0-draft", "0.2.0-draft", True),
        ("0.2.0-draft", "0.2.0", False),
        ("0.2", "0.2.0-draft", False),
        ("0.2.0", "0.2.0-draft", False),
        ("0.2.0", "0.2.1-rc.1", False),
        ("0.2.0-rc.1", "0.2.0-rc.1", True),
        ("0.2.0-rc.1", "0.2.0-rc.1+build", False),
        ("0.2.0-rc.1+build", "0.2.0-rc.1+build", True),
        ("0.2.0-rc.1", "0.2.0-rc.2", False),
        ("0.2.0-rc.1", "0.2.1-rc.1", False),
        ("^0.2.0-rc.1", "0.2.1", False),
        ("=0.2.0-rc.1", "0.2.0-rc.1", True),
        ("0.2", "not a version", False),
    ],
)
def test_version_matches(pattern: str | None, version: str | None, expected: bool) -> None:
    assert version_matches(pattern, version) is expected


@pytest.mark.parametrize(
    ("pattern", "column"),
    [("", 0), ("x", 0), ("=", 1), ("^0.2.x", 1), ("01.2", 0), ("0.2.3.4", 0), (">=0.2", 0)],
)
def test_bad_version_pattern_says_where(pattern: str, column: int) -> None:
    with pytest.raises(UsageError) as caught:
        VersionPattern.parse(pattern)
    assert isinstance(caught.value, PatternError)
    assert caught.value.position == column
    assert f"column {column + 1}" in str(caught.value)


def test_a_huge_number_is_no_version() -> None:
    assert Version.try_parse("9" * 5000) is None


def test_precedence_is_that_of_semver_org() -> None:
    ordered = (
        "0.1.0 0.2.0-draft 0.2.0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta"
        " 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.10.0 2.0.0"
    )
    versions = [Version.parse(text) for text in ordered.split(" ")]
    shuffled = versions[1::2] + versions[::2]
    assert sorted(shuffled, key=Version.order) == versions
    assert compare(versions[0], versions[1]) == -1
    assert compare(Version.parse("1.0.0+a"), Version.parse("1.0.0+b")) == 0
    assert compare(versions[-1], versions[0]) == 1


@pytest.mark.parametrize("text", ["0.2", "1", "1.2.3", "1.2.3-rc.1.x-y", "1.2.3+a.b", "0.0.0-0+0"])
def test_text_round_trip(text: str) -> None:
    assert str(Version.parse(text)) == text
