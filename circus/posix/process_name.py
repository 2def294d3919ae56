"""The name of this process in ps, top and pgrep.

Not its command line, which setproctitle would write over: there programs look for `circusd`, or for words of their own.
"""

from __future__ import annotations

DAEMON = "circusd"


def set_process_name(name: str) -> None:
    """The first 15 bytes of it, which is what the kernel has room for. Without /proc (proc(5)) nothing happens."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(name.encode(errors="replace")[:15])
    except OSError:
        pass  # another system, or one where it is not permitted: it is only a name
