"""Coverage as lcov's tracefile, which genhtml and most editors read: geninfo(1), FILES."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from whamm_cm.render.coverage import covered
from whamm_cm.render.options import RenderOptions
from whamm_cm.render.safe import printable
from whamm_cm.trace.records import Record


def render(records: Iterable[Record], options: RenderOptions) -> Iterator[str]:
    coverage = covered(records, options)
    test = re.sub(r"\W", "_", coverage.title, flags=re.ASCII)
    for name, file in coverage.files.items():
        functions = sorted(file.functions.items())
        yield f"TN:{test}\nSF:{printable(name)}\n"
        yield "".join(f"FN:{line},{printable(name)}\n" for (line, name), _ in functions)
        yield "".join(f"FNDA:{count},{printable(name)}\n" for (_, name), count in functions)
        yield f"FNF:{len(functions)}\nFNH:{file.called}\n"
        yield "".join(f"DA:{line},{count}\n" for line, count in sorted(file.lines.items()))
        yield f"LF:{len(file.lines)}\nLH:{file.hit}\nend_of_record\n"
