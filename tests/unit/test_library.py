"""`get_arbiter` before anything runs."""

import pytest

from circus import get_arbiter


def test_control_endpoint_by_its_other_name_is_an_error_that_says_the_right_one():
    with pytest.raises(TypeError, match="has no argument 'endpoint': the control endpoint is called 'controller'"):
        get_arbiter([], endpoint="tcp://127.0.0.1:1")
