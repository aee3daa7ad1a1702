"""HTTP/1.1 within bounds: uvicorn's protocol takes a head of any length and waits for it for ever, this one does not.

What reaches no route is refused here, as problem documents like everything else. A request that takes too long to
arrive gets no answer, its connection is closed: senders try a broken connection again, and a 4xx they do not. So is
the connection of somebody who does not read the answer.

Connections beyond the limit are answered 503, but for `/healthz`: a gateway that is full is not dead, and whoever
restarts it would only make it worse.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from prometheus_client import Counter, Gauge
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.problems import ProblemName, headers, problem

HEAD_LIMIT = 32 * 1024
"""Bytes of a request's line and headers; what nginx takes by default. A header that never ends may be read a
little further, by as much as came at once.
"""
SEPARATORS = len(": \r\n")
ARRIVAL = 30.0
"""Seconds that a whole request may take to arrive, from its first byte or from the connection's beginning."""
TAKING = 30.0
"""Seconds in which a client has to read on, once the buffers of its answer are full."""
RESERVE = 50
"""Connections beyond the limit that are told so; still more are closed without a word."""
RESERVE_ARRIVAL = 5.0
"""Seconds that a request on one of those may take to arrive."""
ALIVE = b"/healthz"

OPEN = Gauge("tocsin_http_connections", "Connections that are open.")
TURNED_AWAY = Counter("tocsin_http_connections_refused_total", "Connections refused because too many were open.")


class _Refused(Exception):
    """Raised through the parser, which then reads no further."""


class Protocol(HttpToolsProtocol):
    """One connection. `_head` counts the head's bytes as they are understood, `_fed` as they come.

    `uvicorn.Config(limit_concurrency=...)` is the most connections that are served at once.
    """

    _head = _fed = 0
    _is_head = True
    _arriving: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _is_beyond = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        OPEN.inc()
        self._is_beyond = self._is_full()
        if self._is_full(RESERVE):
            TURNED_AWAY.inc()
            transport.abort()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        OPEN.dec()
        self._arrived()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking = self.loop.call_later(TAKING, self.transport.abort)

    def resume_writing(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        self._fed += len(data)
        super().data_received(data)
        if self._is_head and self._fed > HEAD_LIMIT and not self.transport.is_closing():
            self._refuse("head_too_large")

    def on_message_begin(self) -> None:
        self._head, self._is_head = 0, True
        self._await_request()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + SEPARATORS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_head = False
        self._is_beyond = self._is_beyond and self._is_full()
        if self._is_beyond and self.url != ALIVE:
            raise _Refused
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._fed = 0
        self._arrived()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser could not, or was not to, go on with."""
        if self._head > HEAD_LIMIT:
            self._refuse("head_too_large")
        elif self._is_beyond:
            TURNED_AWAY.inc()
            self._refuse("unavailable")
        else:
            self._refuse("bad_http")

    def _is_full(self, reserve: int = 0) -> bool:
        return self._limit is not None and len(self.connections) > self._limit + reserve

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_LIMIT:
            raise _Refused

    def _await_request(self) -> None:
        self._arrived()
        self._arriving = self.loop.call_later(RESERVE_ARRIVAL if self._is_beyond else ARRIVAL, self._too_slow)

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, name: ProblemName) -> None:
        """Answer and close. There is no request yet, so no id and no path either."""
        document = problem(name, _DETAILS[name])
        body = document.model_dump_json(exclude_none=True).encode()
        sent = {**headers(document), "Content-Length": str(len(body)), "Connection": "close"}
        lines = (f"{key}: {value}\r\n" for key, value in sent.items())
        status = HTTPStatus(document.status)
        self.transport.write(f"HTTP/1.1 {status} {status.phrase}\r\n{''.join(lines)}\r\n".encode() + body)
        self.transport.close()


_DETAILS: dict[ProblemName, str] = {
    "bad_http": "The bytes are not an HTTP/1.1 request that can be read.",
    "head_too_large": f"The request line and the headers have more than {HEAD_LIMIT} bytes.",
    "unavailable": "As many connections as may be are open already.",
}
