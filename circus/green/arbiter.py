"""An arbiter in a greenlet: `start` blocks its caller, and the other greenlets of the program go on."""

from __future__ import annotations

from circus import arbiter, library
from circus.green.backend import GREEN_LOOP

__all__ = ["Arbiter", "ArbiterHandler", "get_arbiter"]


class Arbiter(arbiter.Arbiter):
    """As `circus.arbiter.Arbiter`. Children, orphans and limits of the program around it are left alone."""

    backend = GREEN_LOOP


class ArbiterHandler(library.ArbiterHandler):
    """`get_arbiter` for gevent programs; arguments are those of `circus.get_arbiter`, without `background`."""

    def _get_arbiter_klass(self, background: bool) -> type[arbiter.Arbiter]:
        if background:
            raise NotImplementedError(library.NO_GREEN_THREADS)
        return Arbiter


get_arbiter = ArbiterHandler()
