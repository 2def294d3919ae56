"""Variables in text: `$(circus.NAME)`, `((circus.NAME))` and the older `$WID`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from circus.common.convert import value_text

_VARIABLE = re.compile(r"\$\(circus\.([\w.\-]+)\)|\(\(circus\.([\w.\-]+)\)\)", re.ASCII | re.IGNORECASE)
_WID = re.compile(r"\$WID\b", re.ASCII)


def expand(text: str, variables: Mapping[str, object]) -> str:
    """Replace each variable whose NAME is in `variables`; others stay as they are, for a later pass or the reader.

    NAME is what follows `circus.`, such as `wid` or `env.HOME`. Case does not matter, but a name spelt exactly
    wins. What a variable holds is not looked at again.
    """
    if "circus." not in text.lower():
        return text
    folded = {name.lower(): value for name, value in variables.items()}

    def replace(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        for names, key in ((variables, name), (folded, name.lower())):
            if key in names:
                return value_text(names[key])
        return match[0]

    return _VARIABLE.sub(replace, text)


def variables_in(text: str) -> list[str]:
    """Names of the variables in it, in lower case and without `circus.`."""
    if "circus." not in text.lower():
        return []
    return [(match[1] or match[2]).lower() for match in _VARIABLE.finditer(text)]


def expand_wid(text: str, wid: int) -> str:
    """Replace `$WID`, as a whole word, by the number of the process within its watcher."""
    return _WID.sub(str(wid), text)
