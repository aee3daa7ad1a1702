"""HTTP/1.1 within bounds: uvicorn's protocol takes a head of any length and waits for it for ever, this one does not.

What reaches no route is refused here, as problem documents like everything else. A request that takes too long to
arrive gets no answer, its connection is closed: senders try a broken connection again, and a 4xx they do not.
"""

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.problems import ProblemName, headers, problem

HEAD_LIMIT = 32 * 1024
"""Bytes of a request's line and headers; what nginx takes by default. A header that never ends may be read a
little further, by as much as came at once.
"""
SEPARATORS = len(": \r\n")
ARRIVAL = 30.0
"""Seconds that a whole request may take to arrive, from its first byte or from the connection's beginning."""


class _HeadTooLarge(Exception):
    """Raised through the parser, which then reads no further."""


class Protocol(HttpToolsProtocol):
    """One connection. `_head` counts the head's bytes as they are understood, `_fed` as they come."""

    _head = _fed = 0
    _is_head = True
    _arriving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._fed = 0
        self._arrived()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser could not go on with."""
        self._refuse("head_too_large" if self._head > HEAD_LIMIT else "bad_http")

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_LIMIT:
            raise _HeadTooLarge

    def _await_request(self) -> None:
        self._arrived()
        self._arriving = self.loop.call_later(ARRIVAL, self._too_slow)

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
}
