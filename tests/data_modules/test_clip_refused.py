"""Reasons that clips are refused for, counted by kind."""

import pytest

from data_modules.clip_refused import kind_of_reason


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("no consent: speaker 1001 is not down with a yes", "no consent"),
        ("too short: 0.4 s, at least 1 s was expected", "too short"),
        ("no answer from the decoder within 60 s", "no answer"),
        ("audio and video differ by 0.9 s", "audio and video differ"),
        ("something new: 3 of 7", "something new"),
        ("something new", "something new"),
    ],
)
def test_a_kind_has_no_particulars(reason: str, kind: str) -> None:
    assert kind_of_reason(reason) == kind
