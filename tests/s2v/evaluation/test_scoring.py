"""What a test says of all its clips together."""

from s2v.evaluation.protocol import Protocol
from s2v.evaluation.scoring import Scoring
from tests.s2v.evaluation.talking_squares import square_clip


def test_sizes_are_widths_by_heights_of_all_clips() -> None:
    square, narrow, low = (square_clip("ann", "anger", seed, frames=8) for seed in range(3))
    narrow.real = narrow.real[..., :16]
    low.generated = low.real[..., :24, :]
    scoring = Scoring(Protocol(), bootstrap=7, max_strips=0)
    scoring.add(square)
    report = scoring.report({}, None)
    assert report is not None and report.meta["bootstrap_resamples"] == 7
    assert (report.meta["image_size"], report.meta["oblong"]) == ("32 x 32", [])
    for clip in (narrow, low):
        scoring.add(clip)
    report = scoring.report({}, None)
    assert report is not None
    assert report.meta["image_size"] == "32 x 32 (largest; sizes differ)"
    assert report.meta["oblong"] == ["16 x 32", "32 x 24"]
