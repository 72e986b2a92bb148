"""For all tests: signals as in a terminal, no deadlines for hypothesis on busy machines, and
``wasm-tools`` where it is installed (before test files ask whether it is)."""

from __future__ import annotations

import signal

from hypothesis import settings

import fixtures  # noqa: F401  (says which text the assembler takes)
from tests.hosts.tools import put_on_path

put_on_path()

settings.register_profile("whamm-cm", deadline=None)
settings.load_profile("whamm-cm")

# A shell starts background jobs with SIGINT ignored, and children inherit that: the guests and
# commands these tests interrupt would never notice.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        restored = signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, restored)
