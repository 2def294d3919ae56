"""Where log lines go."""

import json
import logging
import os
import socket
import sys

import pytest

from circus.posix import logs

logger = logging.getLogger("circus")


@pytest.fixture(autouse=True)
def root_logger():
    """The root logger as it was, afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield root
    logs.release()
    root.handlers, root.level = before, level


def test_lines_have_time_name_process_and_level(root_logger, capsys):
    logs.configure_logger(logger, output="-")
    logger.info("hello %s", "you")
    logger.debug("not this")
    out, err = capsys.readouterr()
    assert out == ""
    stamp, text = err[:19], err[19:]
    assert text == f" circus[{os.getpid()}] [INFO] hello you\n"
    assert [stamp[i] for i in (4, 7, 10, 13, 16)] == ["-", "-", " ", ":", ":"]


@pytest.mark.parametrize(
    ("level", "number"), [("debug", 10), ("WARNING", 30), ("Error", 40), (50, 50), ("loud", 20), ("info", 20)]
)
def test_levels_in_any_case_and_info_for_others(root_logger, level, number):
    logs.configure_logger(logger, level)
    assert root_logger.level == number


def test_default_is_a_logging_configuration_like_none(root_logger, tmp_path):
    path = tmp_path / "log"
    logs.configure_logger(logger, output=str(path), loggerconfig=" Default ")
    logger.info("hello")
    assert path.read_text().endswith("hello\n")


def test_configuring_again_closes_the_file_of_before(root_logger, tmp_path):
    logs.configure_logger(logger, output=str(tmp_path / "one"))
    first = root_logger.handlers[0].stream
    logs.configure_logger(logger, output=str(tmp_path / "two"))
    logger.info("hello")
    assert first.closed
    assert (tmp_path / "one").read_text() == ""
    assert len(root_logger.handlers) == 1


def test_release_closes_the_file_and_takes_it_out(root_logger, tmp_path):
    logs.configure_logger(logger, output=str(tmp_path / "log"))
    stream = root_logger.handlers[0].stream
    logs.release()
    assert stream.closed
    assert root_logger.handlers == []


def test_a_file_that_cannot_be_opened_is_an_os_error_and_changes_nothing(root_logger, tmp_path):
    logs.configure_logger(logger, output=str(tmp_path / "log"))
    before = root_logger.handlers[:]
    with pytest.raises(FileNotFoundError):
        logs.configure_logger(logger, output=str(tmp_path / "no" / "log"))
    assert root_logger.handlers == before


def test_a_file_that_was_moved_is_opened_again(tmp_path):
    path, moved = tmp_path / "log", tmp_path / "log.1"
    logs.configure_logger(logger, output=str(path))
    logger.info("one")
    path.rename(moved)
    logger.info("two")
    path.unlink()
    logger.info("three")
    assert moved.read_text().endswith("one\n")
    assert path.read_text().endswith("three\n")


def test_while_a_moved_file_cannot_be_opened_the_old_one_goes_on(tmp_path):
    directory, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    directory.mkdir()
    logs.configure_logger(logger, output=str(directory / "log"))
    directory.rename(elsewhere)
    logger.info("kept")
    directory.mkdir()
    logger.info("anew")
    assert (elsewhere / "log").read_text().endswith("kept\n")
    assert (directory / "log").read_text().endswith("anew\n")


def test_text_that_is_not_unicode_can_be_logged(tmp_path):
    logs.configure_logger(logger, output=str(tmp_path / "log"))
    logger.info("caf\udce9")
    assert (tmp_path / "log").read_text().endswith("caf\\udce9\n")


def test_a_closed_file_is_opened_by_the_next_line(root_logger, tmp_path):
    logs.configure_logger(logger, output=str(tmp_path / "log"))
    root_logger.handlers[0].close()
    root_logger.handlers[0].emit(logging.makeLogRecord({"msg": "late", "name": "circus"}))
    assert (tmp_path / "log").read_text().endswith("late\n")


def test_syslog_by_host_and_port_with_a_facility():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        logs.configure_logger(logger, output=f"syslog://127.0.0.1:{server.getsockname()[1]}?daemon")
        logger.warning("hello")
        data = server.recv(1000)
    assert data.startswith(b"<28>"), "facility daemon (3), level warning (4)"
    assert b"[WARNING] hello" in data
    assert data[4:].split()[0].isalpha(), "the date begins with the month"


def test_syslog_by_socket_file_for_the_user_facility(tmp_path):
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.settimeout(10)
        logs.configure_logger(logger, output=f"syslog://{path}?lunch")
        logger.error("hello")
        assert server.recv(1000).startswith(b"<11>")


def test_syslog_without_a_port_has_the_usual_one(root_logger):
    logs.configure_logger(logger, output="syslog://127.0.0.1")
    assert root_logger.handlers[0].address == ("127.0.0.1", 514)


# ---- logging configurations --------------------------------------------------------------------------------------

INI = """
[loggers]
keys = root
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = file
[handler_file]
class = FileHandler
formatter = plain
args = ({path!r},)
[formatter_plain]
format = ini %(message)s
"""


def test_an_ini_file_configures_logging_and_leaves_our_logger_speaking(tmp_path):
    path = tmp_path / "log"
    config = tmp_path / "logging.ini"
    config.write_text(INI.format(path=str(path)))
    logs.configure_logger(logger, loggerconfig=str(config))
    logger.info("hello")
    assert path.read_text() == "ini hello\n"


def as_dict(path):
    return {
        "version": 1,
        "formatters": {"plain": {"format": "dict %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["file"]},
    }


def test_a_json_file_configures_logging(tmp_path):
    path = tmp_path / "log"
    config = tmp_path / "logging.json"
    config.write_text(json.dumps(as_dict(path)))
    logs.configure_logger(logger, loggerconfig=str(config))
    logger.info("hello")
    assert path.read_text() == "dict hello\n"


class Yaml:
    """Stands for the package, which needs not be installed: JSON is YAML."""

    safe_load = staticmethod(json.loads)


def test_a_yaml_file_configures_logging_if_the_package_is_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", Yaml)
    path = tmp_path / "log"
    config = tmp_path / "logging.YAML"
    config.write_text(json.dumps(as_dict(path)))
    logs.configure_logger(logger, loggerconfig=str(config))
    logger.info("hello")
    assert path.read_text() == "dict hello\n"


def test_yaml_without_the_package_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    config = tmp_path / "logging.yaml"
    config.write_text("version: 1")
    with pytest.raises(ValueError, match="needs the package PyYAML; install it or write the file as JSON"):
        logs.configure_logger(logger, loggerconfig=str(config))


@pytest.mark.parametrize(("name", "text"), [("l.json", "{"), ("l.json", "[]"), ("l.ini", "[x]"), ("l.json", "{}")])
def test_a_broken_logging_configuration_is_a_value_error_that_names_the_file(tmp_path, name, text):
    config = tmp_path / name
    config.write_text(text)
    with pytest.raises(ValueError, match=f"{name} is no usable logging configuration: "):
        logs.configure_logger(logger, loggerconfig=str(config))


def test_a_logging_configuration_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"l\.txt is no logging configuration: the name must end in \.ini, "):
        logs.configure_logger(logger, loggerconfig=str(tmp_path / "l.txt"))


def test_a_missing_logging_configuration_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        logs.configure_logger(logger, loggerconfig=str(tmp_path / "l.json"))


# ---- a full disk -------------------------------------------------------------------------------------------------


def test_file_that_cannot_be_written_is_told_of_once_and_when_it_can_again(root_logger, tmp_path, capfd):
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    logs.configure_logger(logger, output=str(path))
    for _ in range(3):
        logger.error("lost")
    assert capfd.readouterr().err == (
        f"the log {path} cannot be written: No space left on device; lines may be lost until it can\n"
    )
    assert logs.trouble()
    logs.release()
    assert logs.trouble() == ""
