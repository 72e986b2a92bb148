"""What can the new release do that the old one could not, and what does it do otherwise?

    python compare_releases.py OLD.wasm NEW.wasm [ARGUMENT...]

Imports, exports and what is reachable are compared without running anything.  With arguments, or
``--run`` for none, both releases are run with them, too, and their calls are counted side by side.
The exit status is 1 if the new release can do more.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import whamm_cm


def changes(old: whamm_cm.Component, new: whamm_cm.Component) -> Iterator[str]:
    """A line for each change; ``!`` stands before what the new release can do more."""
    for change in old.diff(new):
        detail = f"  ({change.detail})" if change.detail else ""
        yield f"{'!' if change.new else ' '} {change.kind:<20} {change.item}{detail}"


def called(app: whamm_cm.Component, args: Sequence[str]) -> Counter[str]:
    """Calls by function, counted in the guest: no values are recorded."""
    run = app.trace(count="all", args=args)
    return Counter({f"{s.edge} {s.item}": number for s, number in run.counts.items()})


def differences(before: Counter[str], after: Counter[str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if before[name] != after[name]:
            yield f"  {before[name]:>6} -> {after[name]:<6} {name}"


def component(path: str) -> whamm_cm.Component:
    found = whamm_cm.load(path)
    if not isinstance(found, whamm_cm.Component):
        raise whamm_cm.InputError(f"{path} is a core module; name a component")
    return found


def main(words: list[str]) -> int:
    if len(words) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        old, new = map(component, words[:2])
        print(f"{old.size} -> {new.size} bytes")
        for line in changes(old, new):
            print(line)
        if words[2:]:
            args = [word for word in words[2:] if word != "--run"]
            print("calls:")
            for line in differences(called(old, args), called(new, args)):
                print(line)
    except whamm_cm.WhammError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return int(any(change.new for change in old.diff(new)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
