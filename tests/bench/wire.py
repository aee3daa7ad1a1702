"""The wire of the load generator: HTTP/1.1 as far as it is needed, one request and its answer at a time."""

import asyncio
from typing import Any

TIMEOUT = 10.0
"""Seconds that an answer may take."""


class BadAnswer(Exception):
    """What came is not an answer that this client understands."""


class Exchange(asyncio.Protocol):
    """The wire: one request, one answer with a Content-Length (or 204). Source: RFC 9112."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._got = b""
        self._waiting: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_closed = False

    async def ask(self, content: bytes) -> int:
        """The status of the answer. Raises OSError (TimeoutError too), BadAnswer."""
        assert self._transport is not None
        self._waiting = waiting = self._loop.create_future()
        late = self._loop.call_later(TIMEOUT, self._fail, TimeoutError())
        self._transport.write(content)
        try:
            status: int = await waiting
            return status
        finally:
            late.cancel()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        got = self._got = self._got + data if self._got else data
        head = got.find(b"\r\n\r\n")
        if head < 0:
            return
        lowered = got[:head].lower()
        try:
            length, status = _length(lowered), int(got[9:12])
        except BadAnswer as error:
            self._fail(error)
            return
        if len(got) >= head + 4 + length:
            self._got = got[head + 4 + length :]
            self.is_closed = self.is_closed or b"\r\nconnection: close" in lowered
            if self._waiting and not self._waiting.done():
                self._waiting.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error if isinstance(error, OSError) else ConnectionResetError())

    def close(self) -> None:
        """Let go of the connection."""
        self.is_closed = True
        if self._transport:
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        self.is_closed = True
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(error)


def _length(head: bytes) -> int:
    """Bytes of the body that follows a head in small letters."""
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        if head[9:12] == b"204":
            return 0
        raise BadAnswer
    return int(head[at + 17 :].split(b"\r\n", 1)[0])
