"""Records with the request that each is part of, and the peer that it is about."""

from __future__ import annotations

from whamm_cm.trace.peers import OpenExchange
from whamm_cm.trace.records import Record
from whamm_cm.trace.traffic import Traffic


class Marked:
    """Feed it every record in order, also those that say so already."""

    def __init__(self) -> None:
        self._traffic = Traffic(lazy=True)
        # The exchange that was told last, and what is said of it.
        self._about: OpenExchange | None = None
        self._url: str | None = None
        self._peer = ""

    def feed(self, record: Record) -> Record:
        """The record with ``req``, ``url`` and ``peer``, as far as they are known."""
        traffic = self._traffic
        traffic.feed(record)
        traffic.drop()
        more: Record = {}
        if traffic.req and "req" not in record and record["phase"] not in ("start", "end"):
            more["req"] = traffic.req
        exchange = traffic.exchange
        if exchange is not None:
            if exchange is not self._about:
                self._about, self._url, self._peer = exchange, exchange.url, exchange.named()
            if self._url is not None:
                more["url"] = self._url
            more["peer"] = self._peer
        return {**record, **more} if more else record
