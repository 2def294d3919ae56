"""Names that cross boundaries."""

from circus.common import names


def test_names_in_topics_are_lower_case_without_blanks():
    assert names.res_name("My Web App") == "my_web_app"
    assert names.topic("My Web App", names.SPAWN) == "watcher.my_web_app.spawn"


def test_the_eleven_hooks():
    assert len(set(names.HOOKS)) == len(names.HOOKS) == 11
    assert names.HOOKS_IGNORING_FAILURE.issubset(names.HOOKS)
