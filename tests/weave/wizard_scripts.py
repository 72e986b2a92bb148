"""Scripts for both backends, and what both report of a program."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

from tests.weave.stand_in import Monitor, StandIn
from whamm_cm.cli.main import main

#: Every ready monitor for code.
MONITORS = (
    *("hotness", "coverage", "icount", "imix", "calls", "call-graph", "branches", "basic-blocks"),
    *("memory", "loops", "flame"),
)
#: All ways to, from and around an instruction that the engine can be asked for.
WAYS = """
wasm:func:entry { report var entered: u64; entered++; }
wasm:func:exit { report var left: u64; left++; }
?wasm:opcode:i32.add|local.set|local.tee|i32.const|drop|nop:after {
    report var done: u64; done++;
}
?wasm:opcode:call|call_indirect:after { report var back: u64; back++; }
?wasm:opcode:end:after { report var past: u64; past++; }
?wasm:opcode:br_if|br_on_null|br_on_non_null:after { report var stayed: u64; stayed++; }
?wasm:opcode:block|loop|if:entry { report var in_: u64; in_++; }
?wasm:opcode:block|loop|if|else:exit { report var out: u64; out++; }
?wasm:opcode:block|loop|if|else:after { report var behind: u64; behind++; }
?wasm:opcode:else:entry { report var other: u64; other++; }
wasm:block:start { report var begun: u64; begun++; }
"""
#: Operands, locals, immediates, facts, functions, and all kinds of variables.
VALUES = """
report var by_arg: map<i32, u64>;
report var sizes: hist;
report var places: map<(u32, u32, str), u64>;
report var deepest: max;
var depth: u32;
fn twice(x: i32) -> i32 { return x * 2; }
wasm:begin { print("begin"); }
wasm:func:entry { depth++; deepest = max(depth as i64); }
wasm:func:exit { depth--; }
?wasm:opcode:i32.add|i32.sub:before / arg0 > 0 && fid != 77 / {
    report var last: i32; report var sum: i64 = pc as i64; unshared var seen: u32;
    last = twice(arg1); sum += arg0 as i64; seen++;
    by_arg[arg0]++; sizes = hist(arg1 as i64);
    if (seen == 1) { print("{} first in {} at {}", opname, fname, pc); }
}
?wasm:opcode:*const*:before / imm0 == 1 / { report var ones: u64; ones++; }
?wasm:opcode:local.get|local.set|local.tee:before { places[(fid, imm0, opname)]++; }
?wasm:opcode:call:before {
    report var pair: (u32, str);
    pair = (imm0, target_fn_name);
    if (target_fn_type == "import") { return; }
    pair.0 = opidx;
}
?wasm:opcode:br_table:before { report var chosen: map<u32, u64>; chosen[target]++; }
?wasm:opcode:global.set(arg0: i32):before { report var written: i32; written = arg0; }
wasm:end { print("end {}", depth); }
"""
#: Probes that meet in front of one instruction say in which order they fire.
ORDER = """
var said: u32;
wasm:opcode:*:before / said < 300 / { said++; print("{} {}", opname, pc); }
?wasm:opcode:call:after / said < 300 / { print("back"); }
?wasm:opcode:block|loop|if:after / said < 300 / { print("behind"); }
?wasm:opcode:block|loop|if:exit / said < 300 / { print("out"); }
wasm:func:exit / said < 300 / { print("left"); }
wasm:func:entry / said < 300 / { print("entered {}", fid); }
wasm:block:start / said < 300 / { print("start"); }
wasm:block:end / said < 300 / { print("end of {}", instr_count); }
wasm:opcode:*:before / said < 300 / { print("again"); }
"""
SCRIPTS = {"ways": WAYS, "values": VALUES, "order": ORDER}

#: A value that is not what everything starts with.
_SOME = re.compile(r"[1-9]|true|[a-zA-Z]{2}")
Rows = Counter[tuple[str, ...]]
#: What is compared of a line of the CSV form.
COLUMNS = (
    *("script", "variable", "type", "probe", "module", "instance", "instances", "fid"),
    *("function", "pc", "source", "key", "value"),
)


def options(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Of monitors and of the scripts above."""
    found = []
    for name in names:
        if name in SCRIPTS:
            path = folder / f"{name}.mm"
            path.write_text(SCRIPTS[name])
            found += ["-s", str(path)]
        else:
            found += ["-m", name]
    return found


def rows(text: str) -> Rows:
    """The lines of the CSV form."""
    found = Counter[tuple[str, ...]]()
    for row in csv.DictReader(io.StringIO(text)):
        found[tuple(row[name] for name in COLUMNS)] += 1
    return found


def some(found: Rows) -> Rows:
    """Those that something has happened to."""
    values = {"false", "unknown"}
    return Counter({
        row: n for row, n in found.items() if row[-1] not in values and _SOME.search(row[-1])
    })  # fmt: skip


def reported(folder: Path, app: Path, *options: str, form: str = "csv") -> tuple[str, int]:
    """What ``trace`` writes, and its status."""
    output = folder / f"report.{form}"
    output.unlink(missing_ok=True)
    asked = ("-q", "trace", "--no-time", "-f", form, "-o", str(output), *options, str(app))
    status = main(asked)
    return output.read_text("utf-8") if output.exists() else "", status


def monitor(folder: Path, app: Path, *options: str) -> Path:
    """The monitor module for a program."""
    found = folder / "monitor.wasm"
    asked = ("-q", "instrument", "--engine", "wizard", *options, "-o", str(found), str(app))
    assert main(asked) == 0
    return found


def stood_in(
    folder: Path, app: Path, *options: str, form: str = "csv", export: str = "_start"
) -> str:
    """What the monitor writes on the stand-in, as ``report`` reads it."""
    made, log, output = monitor(folder, app, *options), folder / "log", folder / f"stood-in.{form}"
    log.write_bytes(StandIn(app.read_bytes(), Monitor(made.read_bytes())).finish(export))
    asked = ("-q", "report", "--woven", str(made), "-f", form, "-o", str(output), str(log))
    assert main(asked) == 0
    return output.read_text("utf-8")
