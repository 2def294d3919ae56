"""What reading a configuration asks of the system."""

import sys

from circus.config.files import find_files, is_installed, read_text


def test_a_package_is_looked_for_and_not_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    assert is_installed("this")
    assert "this" not in sys.modules
    assert not is_installed("no_such_package")


def test_a_package_that_somebody_keeps_out_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "this", None)
    assert not is_installed("this")


def test_files_are_found_and_read_whatever_bytes_they_hold(tmp_path):
    path = tmp_path / "a.ini"
    path.write_bytes(b"caf\xe9")
    assert find_files(f"{tmp_path}/*.ini") == [str(path)]
    assert read_text(str(path)) == "caf\udce9"
