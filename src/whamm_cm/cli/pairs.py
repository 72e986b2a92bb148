"""Options that give keys and values: one pair, or a file of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from whamm_cm.cli.common import read_input
from whamm_cm.errors import InputError, UsageError


def read_pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Of ``KEY=VALUE`` and ``@FILE``, later ones over earlier ones.

    A file is JSON, TOML or YAML by its name, with one value for each key; any other has lines
    ``KEY=VALUE``, as ``.env`` has.  Raises UsageError, and InputError for what is no such file.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if text.startswith("@"):
            found.update(_file(text[1:]))
        elif key and equals:
            found[key] = value
        else:
            raise UsageError(f"{option} {text}: expected KEY=VALUE or @FILE")
    return found


def _file(path: str) -> dict[str, str]:
    try:
        text = read_input(path).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8, at byte {error.start}") from None
    ending = path.rpartition(".")[2].lower()
    if ending not in ("json", "toml", "yaml", "yml"):
        return dict(_lines(path, text))
    found = _document(path, ending, text)
    if not isinstance(found, dict):
        raise InputError(f'{path} has no keys with values, such as {{"key": "value"}}')
    return {str(key): _value(path, key, value) for key, value in found.items()}


def _document(path: str, ending: str, text: str) -> Any:
    """With numbers as they are written."""
    try:
        if ending == "json":
            return json.loads(text, parse_float=str, parse_int=str)
        if ending == "toml":
            import tomllib

            return tomllib.loads(text, parse_float=str)
        import yaml

        try:
            return yaml.load(text, yaml.BaseLoader)
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from None
    except ValueError as error:
        raise InputError(f"{path} is no {ending.upper()}: {error}") from None


def _value(path: str, key: object, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise InputError(f"{path}: the value of {key} is not one text or number, but {value!r}")


def _lines(path: str, text: str) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not key or not equals:
            raise InputError(f"{path}, line {number}: expected KEY=VALUE")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        yield key, value
