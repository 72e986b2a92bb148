"""One time base for all runs of a log.

The clock of a guest may start anywhere: a fresh instance's starts near 0 on many hosts.  So each
run is placed by what is known of it: the wall clock its first record carries, the time stamp that
the host's log has on that line, or else the order of arrival.
"""

from __future__ import annotations

#: How runs were placed → what to say about it.
WORDS = {
    "wall": "the wall clock at their start",
    "log": "the time stamps of the log's lines",
    "arrival": "the order in which they arrived",
}
#: A clock that reads less than this at the first record of a run has started with it, ns.
FRESH = 10_000_000_000


class Clock:
    """Answers by how much to move the times of each run.  The first run keeps its own."""

    def __init__(self) -> None:
        self.runs = 0
        self.how: set[str] = set()
        self._base: int | None = None  # what "0 of the first run's clock" is since 1970
        self._latest = 0
        self._first: int | None = None

    def place(self, t_ns: int, wall_ns: int | None, line_ns: int | None) -> int:
        """For a run whose clock reads ``t_ns`` at a moment that the wall clock says (or the line
        of its first record); the answer is added to its times."""
        self.runs += 1
        how = "wall" if wall_ns else "log" if line_ns is not None else "arrival"
        since = (wall_ns or line_ns or 0) - t_ns
        if how == "arrival":
            shift = self._arrived(t_ns)
        elif self._base is None:
            shift = self._arrived(t_ns)
            self._base = since - shift
        else:
            shift = since - self._base
        if self._first is None:
            self._first = t_ns
        self.how.add(how)
        self.saw(t_ns + shift)
        return shift

    def _arrived(self, t_ns: int) -> int:
        if self._first is None or t_ns >= FRESH:  # one clock for all, as far as can be told
            return 0
        return max(0, self._latest - t_ns)

    def saw(self, t_ns: int) -> None:
        self._latest = max(self._latest, t_ns)

    def note(self) -> str | None:
        """How times of several runs got onto one base; None where there is nothing to say."""
        if self.runs < 2:
            return None
        ways = " or ".join(WORDS[how] for how in WORDS if how in self.how)
        return f"times of {self.runs} runs are put on one base by {ways}"
