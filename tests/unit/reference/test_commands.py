"""The reference page of the commands."""

from circus.commands import get_commands
from circus.reference.commands import page


def test_reference_page_tells_of_every_command_and_property():
    text = page()
    for name, command in get_commands().items():
        assert f"\n## {name}\n" in text
        assert all(f"| `{p.name}` |" in text for p in command.takes if command.msg_type != "sub")
