"""How a script ended the program, as its records say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from whamm_cm.dataclass import dataclass


@dataclass(slots=True)
class Leaving:
    """``status``: of ``exit``; ``why``: the text of ``abort``.  The first of them counts."""

    script: str = ""
    status: int | None = None
    why: str | None = None

    @property
    def said(self) -> str:
        """A clause for people, "" where no script has ended the program."""
        if self.status is not None:
            return f"{self.script} ended the program with status {self.status}"
        return "" if self.why is None else f"{self.script} aborted the program: {self.why}"

    def feed(self, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            if record["phase"] != "print" or self.said:
                continue
            text = str(record.get("text", ""))
            rest = text.partition(" ")[2]
            if record.get("probe") == "exit" and rest.isdecimal():
                self.script, self.status = record.get("script", ""), int(rest)
            elif record.get("probe") == "abort":
                self.script, self.why = record.get("script", ""), rest
