"""Where a face crop is cut: halves by rows, boxes by shares."""

import pytest
import torch

from s2v.errors import InputError
from s2v.face_regions import CONTEXT_REGIONS, LIP_REGIONS, MOUTH_LOSS_BOX, cut_box, cut_rows

ROWS = torch.arange(100.0).view(100, 1).expand(100, 100)
COLUMNS = ROWS.T


def test_the_halves_of_an_odd_height_have_every_row_once() -> None:
    frames = torch.arange(5).view(1, 1, 5, 1)
    assert cut_rows(frames, "upper").flatten().tolist() == [0, 1]
    assert cut_rows(frames, "lower").flatten().tolist() == [2, 3, 4]
    assert cut_rows(frames, "full").flatten().tolist() == [0, 1, 2, 3, 4]


def test_an_unknown_half_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^unknown region 'mouth': expected full, upper or lower$"):
        cut_rows(torch.zeros(1, 3, 4, 4), "mouth")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        (LIP_REGIONS["full"], (0, 99), (0, 99)),
        (
            LIP_REGIONS["lower"],
            (50, 99),
            (25, 74),
        ),  # half the width, where a RowRegion's "lower" has all of it
        (LIP_REGIONS["mouth"], (53, 96), (28, 71)),
        (CONTEXT_REGIONS["jaw"], (75, 99), (25, 74)),
        (MOUTH_LOSS_BOX, (60, 94), (25, 74)),
    ],
)
def test_boxes_are_those_that_trained_weights_and_results_rest_on(
    box: tuple[float, float, float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    seen = cut_box(ROWS, box)
    assert (seen.min(), seen.max()) == rows
    seen = cut_box(COLUMNS, box)
    assert (seen.min(), seen.max()) == columns
