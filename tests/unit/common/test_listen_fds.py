"""Names of the descriptors that a program was started with."""

from __future__ import annotations

import pytest

from circus.common.listen_fds import names_of


@pytest.mark.parametrize(
    ("count", "given", "names"),
    [
        (None, "web", []),
        ("", None, []),
        ("-1", None, []),
        ("x", None, []),
        ("0", "web", []),
        ("2", None, ["unknown", "unknown-2"]),
        ("2", "Web:admin", ["web", "admin"]),
        ("3", "web:web", ["web", "web-2", "unknown"]),
        ("3", "web-2:web:web", ["web-2", "web", "web-3"]),
        ("1", "web:admin", ["web"]),
        ("2", ":web", ["unknown", "web"]),
        ("1000", "web", ["web", "unknown", *(f"unknown-{number}" for number in range(2, 1000))]),
        ("1000000000", "web", []),  # nonsense, and nobody has the memory to count so far
        ("9" * 5000, "web", []),
    ],
)
def test_each_descriptor_has_a_name_of_its_own(count, given, names):
    environ = {"LISTEN_FDS": count, "LISTEN_FDNAMES": given}
    assert names_of({key: value for key, value in environ.items() if value is not None}) == names
