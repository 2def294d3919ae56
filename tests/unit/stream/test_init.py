"""`get_stream`: from a mapping to a stream."""

import pytest

import circus.stream
from circus.exc import ImportStringError
from circus.stream import FileStream, QueueStream, StdoutStream, TimedRotatingFileStream, get_stream


class Recorder:
    def __init__(self, **options):
        self.options = options

    def __call__(self, data):
        pass


@pytest.mark.parametrize("conf", [None, {}])
def test_empty_mapping_gives_no_stream(conf):
    assert get_stream(conf) is None


def test_undotted_class_is_one_of_this_package_and_gets_the_other_options():
    stream = get_stream({"class": "QueueStream", "maxsize": "5", "refresh_time": "0.3"})
    assert type(stream) is QueueStream
    assert stream.maxsize == 5


@pytest.mark.parametrize("name", [f"{__name__}.Recorder", f"{__name__}:Recorder", Recorder])
def test_dotted_class_or_class_object_is_built_and_class_is_consumed(name):
    conf = {"class": name, "refresh_time": "0.3", "color": "red"}
    stream = get_stream(conf)
    assert stream.options == {"refresh_time": "0.3", "color": "red"}
    assert conf == {"refresh_time": "0.3", "color": "red"}


def test_ready_object_is_taken_as_it_is():
    ready = StdoutStream()
    assert get_stream({"stream": ready}) is ready


def test_filename_alone_makes_a_file_stream(tmp_path):
    stream = get_stream({"filename": str(tmp_path / "log"), "max_bytes": "10485760", "backup_count": "3"})
    assert type(stream) is FileStream
    assert (stream.max_bytes, stream.backup_count) == (10485760, 3)
    stream.close()


@pytest.mark.parametrize("conf", [{"color": "red"}, {"class": ""}, {"class": None, "refresh_time": 1}])
def test_mapping_without_class_stream_and_filename_is_invalid(conf):
    with pytest.raises(ValueError, match=r"^stream configuration invalid$"):
        get_stream(conf)


def test_unknown_undotted_class_is_refused_with_the_names_there_are():
    with pytest.raises(ImportStringError, match=r"'Nope'.*FileStream.*package\.module\.Class"):
        get_stream({"class": "Nope"})


def test_dotted_class_that_does_not_exist_is_refused():
    with pytest.raises(ImportStringError):
        get_stream({"class": "circus.stream.Nope"})


def test_file_that_cannot_be_opened_is_refused_at_once(tmp_path):
    with pytest.raises(IsADirectoryError):
        get_stream({"class": "FileStream", "filename": str(tmp_path)})


def test_names_that_programs_import_are_there():
    from circus.stream import file_stream, redirector

    assert file_stream.FileStream is FileStream
    assert file_stream.TimedRotatingFileStream is TimedRotatingFileStream
    assert redirector.Redirector is circus.stream.Redirector
    assert all(hasattr(circus.stream, name) for name in ("Queue", "Empty", "WatchedFileStream", "FancyStdoutStream"))
