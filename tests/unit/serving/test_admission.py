import pytest

from server.admission import Admission
from server.errors import OverloadedError, ShuttingDownError


def test_admits_up_to_the_limit_and_refuses_the_next():
    admission = Admission(2)
    with admission, admission:
        with pytest.raises(OverloadedError) as caught, admission:
            pass
        assert admission.in_flight == 2
    assert caught.value.retry_after > 0
    assert admission.in_flight == 0
    assert admission.refused == 1


def test_room_is_given_back_when_a_request_fails():
    admission = Admission(1)
    with pytest.raises(KeyError), admission:
        raise KeyError
    with admission:
        assert admission.in_flight == 1


def test_refuses_everything_once_closed():
    admission = Admission(1)
    admission.close()
    with pytest.raises(ShuttingDownError), admission:
        pass
