import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2v.files.spreadsheet_cell import as_cell, csv_text, from_cell


@given(st.text(alphabet="'=+-@\t\rab ", max_size=6))
def test_any_text_comes_back_and_none_begins_like_a_formula(text: str) -> None:
    cell = as_cell(text)
    assert from_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("text", ["", "a", "1001_DFA", "'quoted'", "it's", "a=b", " =1"])
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert as_cell(text) == from_cell(text) == text


def test_rows_become_lines_and_none_an_empty_cell() -> None:
    assert csv_text([("clip", "value"), ("a,b", 0.1), ("c", None)]) == 'clip,value\n"a,b",0.1\nc,\n'
