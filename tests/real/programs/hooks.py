"""Hooks for tests; named in configurations as `tests.real.programs.hooks.NAME`."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any


def check_redis(*args: Any, **kw: Any) -> bool:
    """As in the manual of hooks: says yes when redis answers."""
    from tests.real.programs.queue_worker import connect

    time.sleep(0.5)  # give it a chance to start
    r = connect()
    r.set("foo", "bar")
    return bool(r.get("foo") == "bar")


def accept(**kw: Any) -> bool:
    return True


def refuse(**kw: Any) -> bool:
    return False


def fail(**kw: Any) -> bool:
    raise RuntimeError("this hook fails on purpose")


def sleep_a_little(**kw: Any) -> bool:
    time.sleep(0.2)
    return True


def sleep_a_second(**kw: Any) -> bool:
    time.sleep(1)
    return True


def sleep_for_long(**kw: Any) -> bool:
    time.sleep(3600)
    return True


def wait_for_file(**kw: Any) -> bool:
    while not os.path.exists(os.environ["HOOK_FILE"]):
        time.sleep(0.01)
    return True


def exit_code_of_a_child(watcher: Any, **kw: Any) -> bool:
    """A hook that starts programs itself gets their exit codes, whatever else dies meanwhile."""
    codes = [subprocess.run(["/bin/sh", "-c", f"exit {number}"]).returncode for number in range(5)]
    with open(os.environ["HOOK_FILE"], "a") as file:
        file.write(f"{codes}\n")
    return True
