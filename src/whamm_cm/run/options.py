"""What of the host a guest may see, and the command-line words that say so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from whamm_cm.dataclass import dataclass
from whamm_cm.errors import RunError, UsageError


@dataclass(frozen=True, slots=True)
class Dir:
    """A host directory the guest sees as ``guest``."""

    host: str
    guest: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class HostOptions:
    """``args`` begins with the program's name.  A standard stream that is not inherited is empty
    (stdin) or goes nowhere (stdout, stderr); one with a file is that file."""

    args: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    dirs: Sequence[Dir] = ()
    inherit_network: bool = False
    inherit_stdin: bool = True
    inherit_stdout: bool = True
    inherit_stderr: bool = True
    stdin_file: str | None = None
    stdout_file: str | None = None
    stderr_file: str | None = None

    def check_text(self) -> None:
        """Raises RunError for text that WASI cannot carry."""
        for text in (*self.args, *(word for pair in self.env for word in pair)):
            if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
                raise RunError(f"{text!a} is not valid UTF-8 text: WASI cannot pass it to a guest")


def parse_dir(text: str) -> Dir:
    """``HOST[::GUEST]`` as in the wasmtime command; the guest path is the host path by default."""
    host, separator, guest = text.partition("::")
    if not host or (separator and not guest):
        raise UsageError(f"--dir {text}: expected HOST or HOST::GUEST")
    return Dir(host, guest if separator else host)


def parse_env(text: str, environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """``NAME=VALUE``, or ``NAME`` to pass on our own variable (None if there is none)."""
    name, separator, value = text.partition("=")
    if not name:
        raise UsageError(f"--env {text}: expected NAME=VALUE or NAME")
    if separator:
        return name, value
    inherited = (os.environ if environ is None else environ).get(name)
    return None if inherited is None else (name, inherited)
