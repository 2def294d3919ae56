"""Errors and their numbers."""

from circus import exc


def test_errors_keep_their_place_among_exceptions():
    for error in (exc.AlreadyExist, exc.MessageError, exc.CallError, exc.ArgumentError, exc.ConflictError):
        assert error.__bases__ == (Exception,)
    assert issubclass(exc.ImportStringError, ImportError)


def test_numbers_on_the_wire_never_change():
    numbers = (
        exc.NOT_SPECIFIED,
        exc.INVALID_JSON,
        exc.UNKNOWN_COMMAND,
        exc.MESSAGE_ERROR,
        exc.OS_ERROR,
        exc.COMMAND_ERROR,
        exc.BAD_MSG_DATA_ERROR,
    )
    assert numbers == (0, 1, 2, 3, 4, 5, 6)


def test_a_spawn_error_says_which_step_failed():
    error = exc.SpawnError("user", 1, "no such user")
    assert (error.stage, error.errno, error.text, str(error)) == ("user", 1, "no such user", "no such user")


def test_a_config_error_holds_a_line_for_each_problem():
    error = exc.ConfigError(["a", "b"])
    assert (error.problems, str(error)) == (["a", "b"], "a\nb")


def test_a_config_error_is_a_value_error_which_older_programs_catch():
    assert issubclass(exc.ConfigError, ValueError)
