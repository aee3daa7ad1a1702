"""Loopback ports that stay the same across restarts of one data directory."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from compose.processes import StartError

LOOPBACK = "127.0.0.1"
# Below the kernel's range for outgoing connections (32768 up on Linux): while a server is down, a client that keeps
# retrying a port inside that range can end up connected to itself and hold the port for good.
FIRST, LAST = 20_000, 29_999
_given: dict[int, Path] = {}
"""What this process has given each port for: until a server listens on it, it looks free to the next who asks."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_open(port: int, timeout: float = 0.5) -> bool:
    """Whether something accepts connections on this loopback port; `timeout` in seconds."""
    try:
        socket.create_connection((LOOPBACK, port), timeout).close()
    except OSError:
        return False
    return True


def stable_port(memory: Path, wanted: int | None = None) -> int:
    """The port to listen on: `wanted` if given, else the one that file `memory` remembers if free, else a new free one.

    Two memories get different ports. Raises StartError when a wanted port is taken.
    """
    if wanted is not None:
        if not is_free(wanted):
            raise StartError(
                f"Port {wanted} for {memory.stem} is taken by another program: stop it or set another port."
            )
        return wanted
    remembered = int(memory.read_text()) if memory.exists() else None
    if remembered is not None and is_free(remembered) and _given.setdefault(remembered, memory) == memory:
        return remembered
    port = _any_free()
    _given[port] = memory
    memory.write_text(f"{port}\n")
    return port


def _any_free() -> int:
    for _ in range(200):
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        if port not in _given and is_free(port):
            return port
    raise StartError(f"No free port between {FIRST} and {LAST} was found on {LOOPBACK}: set the ports yourself.")
