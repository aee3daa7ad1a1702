"""`tocsin up` with roles that only pretend: `python -m tests.fake_roles`. For tests of the supervisor's own promises.

The gateway answers `/readyz` (503 in its first half second), every other role sleeps. Prints `ready` when `up` says so.
With TOCSIN_TEST_FOLDS=never the worker is never given a partition.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace

from compose import up as starting
from compose.datadir import Running
from compose.supervisor import Child
from compose.up import Hooks, Mailbox, Services, UpSettings, up
from schemas.settings import load_settings

ROLE = """
import http.server, os, sys, time
began = time.monotonic()
class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if time.monotonic() > began + 0.5 else 503)
        self.end_headers()
        self.wfile.write(b"kafka is not ready")
if sys.argv[1] == "gateway":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["TOCSIN_GATEWAY_PORT"])), Gateway).serve_forever()
time.sleep(3600)
"""


async def prepare(services: Services) -> None:
    """Nothing is prepared, but everything that a preparation needs must be known."""
    assert services.settings.kafka_bootstrap
    assert services.settings.postgres_dsn


def pretend(services: Services, name: str) -> Child:
    command = replace(services.role(name).prepare(), argv=(sys.executable, "-c", ROLE, name))
    return Child(name, lambda: command)


def mailbox(services: Services) -> Mailbox:
    return Mailbox(pretend(services, "mailbox"), "file:///mail", services.data.port("smtp"))


async def never(metrics: str) -> bool:
    """A worker that has nothing to fold, asked where its metrics should be."""
    assert metrics.startswith("http://127.0.0.1:")
    return False


async def ready(running: Running) -> None:
    print("ready", running.gateway_url, flush=True)


if __name__ == "__main__":
    starting.FOLDS_WITHIN = 1.0
    hooks = Hooks(prepare, mailbox, pretend, never if os.environ.get("TOCSIN_TEST_FOLDS") == "never" else None)
    sys.exit(asyncio.run(up(UpSettings.from_environment(load_settings()), hooks, ready)))
