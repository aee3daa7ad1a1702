"""What this machine can do at most, measured with nothing of Tocsin in the way."""

import asyncio
import sys
import time

import uvicorn
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fastapi import FastAPI


def empty_route(port: int) -> None:
    """Serve one FastAPI route that does nothing, until killed."""
    app = FastAPI()

    @app.get("/empty")
    async def empty() -> dict[str, str]:
        return {}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


async def produce(bootstrap: str, seconds: float, waiting: int) -> float:
    """Records/s that one producer gets acknowledged, each flushed to disk, `waiting` at a time; 1 KB each."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    name = f"bench-limit-{time.time_ns()}"
    await admin.create_topics([NewTopic(name, 24, 1, topic_configs={"flush.messages": "1"})])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=262_144, linger_ms=2)
    await producer.start()
    value, done, end = b"x" * 1000, 0, time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await producer.send_and_wait(name, value, key=b"bench:0")
            done += 1

    await asyncio.gather(*(one() for _ in range(waiting)))
    await producer.stop()
    await admin.delete_topics([name])
    await admin.close()
    return done / seconds


if __name__ == "__main__":
    empty_route(int(sys.argv[1]))
