"""Whatever bytes come over a real socket have a documented answer, in bounded time and space."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from gateway import bodies, protocol
from schemas.problems import MEDIA_TYPE
from tests.gateway_world import KEYS, TOKEN, GatewayWorld
from tests.integration.test_gateway_server import served
from tests.world import alert, webhook

LIMIT = 4096
"""Bytes of a body."""


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld(max_body_bytes=LIMIT) as made:
        yield made


@dataclass(frozen=True)
class Answer:
    """What came back until the server closed the connection or said nothing more."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool

    @property
    def problem(self) -> str:
        """The kind of problem; fails when it is none."""
        assert self.headers["content-type"] == MEDIA_TYPE, self
        document = json.loads(self.body)
        assert document["status"] == self.status
        return str(document["type"]).removeprefix("/problems/")


@dataclass(frozen=True)
class Server:
    """The gateway on a real socket."""

    port: int

    async def say(self, *pieces: bytes, patience: float = 20.0) -> Answer:
        """Send `pieces`, one after the other, over a connection of its own and read one answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.05 if len(pieces) > 1 else 0)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patience)
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), patience)
            closes = headers.get("connection") == "close"
            return Answer(int(first.split()[1]), headers, body, await self._closed(reader, patience if closes else 0.1))
        finally:
            writer.close()

    async def _closed(self, reader: asyncio.StreamReader, patience: float) -> bool:
        """Whether the server closes within `patience`; bytes of a second answer fail."""
        try:
            assert await asyncio.wait_for(reader.read(1), patience) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        return True


@pytest.fixture
async def server(world: GatewayWorld) -> AsyncIterator[Server]:
    async with served(world.app) as (url, _, _):
        yield Server(int(url.rpartition(":")[2]))


def request(start: str, *headers: str, body: bytes | None = None, token: str | None = TOKEN) -> bytes:
    """A request: `start` is its method and path; a length is given for `body`."""
    own = [f"Authorization: Bearer {token}"] if token else []
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    lines = [f"{start} HTTP/1.1", "Host: tocsin.test", *own, *headers, *length, "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


POST, GET = "POST /alerts/webhook", "GET /api/v1/incidents"
EMPTY = json.dumps(webhook([])).encode()
CHUNKED = "Transfer-Encoding: chunked"
BOMB = gzip.compress(b" " * 10_000_000)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


READERS = KEYS["viewer"]
TAKEN = {
    "with a length": request(POST, body=EMPTY),
    "in chunks": request(POST, CHUNKED) + chunk(EMPTY[:9]) + chunk(EMPTY[9:]) + b"0\r\n\r\n",
    "not encoded, and says so": request(POST, "Content-Encoding: identity", body=EMPTY),
    "with an Authorization too many": request(POST, "Authorization: Bearer another", body=EMPTY),
    "with a Content-Type too many": request(POST, "Content-Type: application/json", "Content-Type: text/x", body=EMPTY),
    "another's webhook, for the dead letters": request(POST, body=b"{}"),
    "with an Expect we do not know": request(POST, "Expect: 200-ok", body=EMPTY),
}
REFUSED = {
    "no body": (request(POST), 400, "bad_json"),
    "an empty body": (request(POST, body=b""), 400, "bad_json"),
    "half a document": (request(POST, body=EMPTY[:20]), 400, "bad_json"),
    "no UTF-8": (request(POST, body=b'"\xff\xfe"'), 400, "bad_json"),
    "nested too deep": (request(POST, body=b"[" * 2000 + b"]" * 2000), 400, "bad_json"),
    "too many bytes": (request(POST, body=b" " * (LIMIT + 1)), 413, "body_too_large"),
    "too large a length": (request(POST, "Content-Length: 999999999999"), 413, "body_too_large"),
    "too many chunks": (request(POST, CHUNKED) + chunk(b" " * 1000) * 8, 413, "body_too_large"),
    "text": (request(POST, "Content-Type: text/plain", body=EMPTY), 415, "unsupported_media_type"),
    "gzip": (request(POST, "Content-Encoding: gzip", body=gzip.compress(EMPTY)), 415, "unsupported_media_type"),
    "a bomb": (request(POST, "Content-Encoding: gzip", body=BOMB), 415, "unsupported_media_type"),
    "gzip twice": (request(POST, "Content-Encoding: gzip, gzip", body=BOMB), 415, "unsupported_media_type"),
    "deflate": (request(POST, "Content-Encoding: deflate", body=EMPTY), 415, "unsupported_media_type"),
    "gzip in chunks": (request(POST, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 400, "bad_json"),
    "no token": (request(POST, body=EMPTY, token=None), 401, "unauthenticated"),
    "a token of bytes": (request(GET, token="\xff\xfe"), 401, "unauthenticated"),
    "another scheme": (request(GET, "Authorization: Basic eDp5", token=None), 401, "unauthenticated"),
    "a wrong token before the right one": (
        request(POST, "Authorization: Bearer another", f"Authorization: Bearer {TOKEN}", body=EMPTY, token=None),
        401,
        "unauthenticated",
    ),
    "a method for others": (request("PROPFIND /api/v1/incidents", token=READERS), 405, "method_not_allowed"),
    "TRACE": (request("TRACE /api/v1/incidents", token=READERS), 405, "method_not_allowed"),
    "OPTIONS": (request("OPTIONS /api/v1/incidents", token=READERS), 405, "method_not_allowed"),
    "OPTIONS *": (request("OPTIONS *", token=READERS), 404, "not_found"),
    "a path upwards": (request("GET /../../etc/passwd", token=READERS), 404, "not_found"),
    "NUL in a path": (request("GET /api/v1/incidents/%00", token=READERS), 404, "not_found"),
    "no UTF-8 in a path": (request("GET /api/v1/incidents/%ff%fe", token=READERS), 404, "not_found"),
}
CLOSED = {
    "a method nobody knows": (request("BREW /api/v1/incidents"), 400, "bad_http"),
    "CONNECT": (b"CONNECT tocsin.test:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_http"),
    "a length beyond all": (request(POST, "Content-Length: 99999999999999999999"), 400, "bad_http"),
    "a negative length": (request(POST, "Content-Length: -3"), 400, "bad_http"),
    "a length in words": (request(POST, "Content-Length: three"), 400, "bad_http"),
    "two lengths": (request(POST, "Content-Length: 3", "Content-Length: 5") + b"abcde", 400, "bad_http"),
    "a length and chunks": (request(POST, CHUNKED, "Content-Length: 5") + b"0\r\n\r\n", 400, "bad_http"),
    "an encoding that does not end": (request(POST, "Transfer-Encoding: gzip"), 400, "bad_http"),
    "a chunk that is none": (request(POST, CHUNKED) + b"zz\r\n", 400, "bad_http"),
    "a chunk beyond all": (request(POST, CHUNKED) + b"f" * 18 + b"\r\n", 400, "bad_http"),
    "NUL in a header": (request(GET, "X-A: a\0b"), 400, "bad_http"),
    "a folded header": (request(GET, "X-A: a\r\n b"), 400, "bad_http"),
    "a space in a header's name": (request(GET, "X A: b"), 400, "bad_http"),
    "bytes in a path": (request("GET /\xff"), 400, "bad_http"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_http"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_http"),
    "HTTP/3": (b"GET /healthz HTTP/3.0\r\n\r\n", 400, "bad_http"),
    "line ends of one byte": (b"GET /healthz HTTP/1.1\nHost: x\n\n", 400, "bad_http"),
    "a long header": (request(GET, "X-Long: " + "a" * 33_000), 431, "head_too_large"),
    "a long header's name": (request(GET, "X-" + "a" * 33_000 + ": b"), 431, "head_too_large"),
    "many headers": (request(GET, *(f"X-{n}: {'b' * 20}" for n in range(1300))), 431, "head_too_large"),
    "a long path": (request("GET /" + "a" * 33_000), 431, "head_too_large"),
}


async def test_what_is_taken(server: Server) -> None:
    said = {name: await server.say(data) for name, data in TAKEN.items()}
    assert {name: (answer.status, answer.closed) for name, answer in said.items()} == dict.fromkeys(TAKEN, (202, False))


async def test_what_a_route_refuses(server: Server) -> None:
    said = {name: await server.say(data) for name, (data, _, _) in REFUSED.items()}
    answered = {name: (answer.status, answer.problem, answer.closed) for name, answer in said.items()}
    assert answered == {name: (status, problem, status == 413) for name, (_, status, problem) in REFUSED.items()}


async def test_what_reaches_no_route(server: Server) -> None:
    said = {name: await server.say(data) for name, (data, _, _) in CLOSED.items()}
    answered = {name: (answer.status, answer.problem, answer.closed) for name, answer in said.items()}
    assert answered == {name: (status, problem, True) for name, (_, status, problem) in CLOSED.items()}


async def test_a_header_that_never_ends(server: Server) -> None:
    begun = request(GET)[:-2] + b"X-Long: " + b"a" * 20_000
    answer = await server.say(begun, b"a" * 20_000)
    assert (answer.status, answer.problem, answer.closed) == (431, "head_too_large", True)


async def test_the_largest_head_is_taken(server: Server) -> None:
    head = request(GET, "X-Long: " + "a" * 32_000, token=READERS)
    assert (await server.say(head)).status == 200


async def test_a_second_request_is_counted_anew(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(3):
        writer.write(request(GET, "X-Long: " + "a" * 20_000, token=READERS))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 200")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    writer.close()


async def test_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("GET /healthz") + request(POST, body=EMPTY) + request("GET /nowhere"))
    statuses = []
    for _ in range(3):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        statuses.append(int(head.split()[1]))
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    writer.close()
    assert statuses == [200, 202, 404]


async def test_a_head_over_the_limit_costs_no_more_than_the_limit(server: Server) -> None:
    """A hundred megabytes of header are not read: the server stops when it knows."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(GET)[:-2] + b"X-Long: ")
    sent = 0
    with pytest.raises((ConnectionError, TimeoutError)):
        while sent < 100_000_000:
            writer.write(b"a" * 100_000)
            await asyncio.wait_for(writer.drain(), 2)
            sent += 100_000
    assert sent < 20_000_000
    writer.close()


async def test_a_slow_head_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ARRIVAL", 0.5)
    assert await closes(server.port, request(GET)[:-2], drip=b"X-A: b\r\n") < 8


async def test_a_connection_that_says_nothing_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ARRIVAL", 0.5)
    assert await closes(server.port, b"", drip=b"") < 8


async def test_a_slow_body_is_to_be_sent_again(
    world: GatewayWorld, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.3)
    body = json.dumps(webhook([alert("Down", {}, world.now())])).encode()
    answer = await server.say(request(POST, body=body)[:-1])
    assert (answer.status, answer.problem) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert world.intake.kept == []


async def test_a_body_that_nobody_reads_does_not_keep_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ARRIVAL", 0.5)
    refused_at_once = request(POST, "Content-Length: 4000", token=None)
    assert await closes(server.port, refused_at_once, drip=b" ") < 8


async def closes(port: int, start: bytes, drip: bytes) -> float:
    """Seconds until the server closes a connection on which `start` is sent, and then `drip` again and again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(start)
    dripping = asyncio.create_task(drop_by_drop(writer, drip))
    try:
        await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        pass
    finally:
        dripping.cancel()
        writer.close()
    return time.monotonic() - began


async def drop_by_drop(writer: asyncio.StreamWriter, drip: bytes) -> None:
    while not writer.is_closing():
        writer.write(drip)
        await asyncio.sleep(0.05)
