"""Takes jobs from redis for ever; each goes back in upper case. Fails at once when redis is not there."""

from __future__ import annotations

import os
from typing import Any


def connect() -> Any:
    """To the redis of $REDIS_PORT; it answers now or never."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    port = int(os.environ["REDIS_PORT"])
    return redis.StrictRedis(host="localhost", port=port, db=0, decode_responses=True, retry=Retry(NoBackoff(), 0))


def main() -> None:
    queue = connect()
    queue.incr("workers started")
    while True:
        _, job = queue.blpop(["jobs"])
        queue.rpush("results", job.upper())


if __name__ == "__main__":
    main()
