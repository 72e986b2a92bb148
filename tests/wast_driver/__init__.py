"""A small driver for component-model ``.wast`` scripts, run on wasmtime's Python bindings.

``run_script`` runs one file; a :class:`Hook` may rewrite each component before it is instantiated,
so that an original and a woven copy can be compared assertion by assertion (``compare``).
``definitions`` lists the components a file defines without running anything.

From the command line: ``python -m tests.wast_driver DIR [--weave]``.
"""

from tests.wast_driver.host import Sink
from tests.wast_driver.runner import Hook, Outcome, compare, run_script, run_text
from tests.wast_driver.script import Definition, definitions

__all__ = [
    "Definition",
    "Hook",
    "Outcome",
    "Sink",
    "compare",
    "definitions",
    "run_script",
    "run_text",
]
