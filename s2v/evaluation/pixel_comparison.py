"""What compares pixels: SSIM, PSNR, LPIPS, sharpness and motion of all that stands beside a clip's real frames."""

from torch import Tensor

from s2v.errors import InputError
from s2v.evaluation.clip_rows import GROUND_TRUTH, SHIFTED, STILL, SWAPPED, ClipRow
from s2v.evaluation.judges import PerceptualJudge
from s2v.metrics.image_quality import check_pair, motion, sharpness
from s2v.metrics.regional_quality import (
    at_size,
    perfect_quality,
    regional_qualities,
    regional_quality,
    small_quality,
)


class PixelComparison:
    """Measures pictures against the real ones; those that can't be compared cost their row these metrics alone.

    Args:
        perceptual: LPIPS; None leaves it out.
        trim: where numbers of frames differ by no more than this, generated and real pictures are compared as far as
            both go; only what compares pixels is cut.
        resize: generated pictures get the real ones' size before pixels are compared (`at_size`).
    """

    def __init__(
        self, perceptual: PerceptualJudge | None = None, trim: int = 0, resize: bool = False
    ) -> None:
        self.perceptual = perceptual
        self.trim = trim
        self.resize = resize

    def measure(self, rows: dict[str, ClipRow], real: Tensor, faces: dict[str, Tensor], ours: str) -> None:
        """Fill in what compares pixels.

        Args:
            rows: of one clip, by system.
            real: (T, 3, H, W) uint8.
            faces: what each system shows, (T, 3, H, W), or (1, 3, H, W) held still; the system's own as it came.
            ours: name of the system whose pictures may be of another length or size.
        """
        # the held frame is the clip's own first: it is given, not made, and would score as perfect
        first = {STILL: 1}
        shown = {name: frames for name, frames in faces.items() if name != STILL or len(real) > 1}
        if ours in shown and shown[ours].shape != real.shape:
            self.measure_pair(rows[ours], shown.pop(ours), real)
        if STILL not in shown:
            rows[STILL].reasons.append("a single frame: nothing to hold it against")
        made = [name for name in shown if name != GROUND_TRUTH]
        starts = [first.get(name, 0) for name in made]
        try:
            quality = dict(
                zip(made, regional_qualities([shown[name] for name in made], real, starts), strict=True)
            )
            quality[GROUND_TRUTH] = perfect_quality(real)
        except InputError as error:
            for name in shown:
                rows[name].reasons.append(str(error))
            quality = {}
        for name in quality:
            row, target = rows[name], real[first.get(name, 0) :]
            frames = shown[name].expand_as(target) if len(shown[name]) == 1 else shown[name]
            row.values |= quality[name] | _moving(frames, target)
        if quality and self.perceptual is not None:
            try:
                distances = self.perceptual.distances([shown[name] for name in made], real, starts)
                for name, distance in zip([*made, GROUND_TRUTH], [*distances, 0.0], strict=True):
                    rows[name].values["lpips"] = distance
            except InputError as error:
                for name in quality:
                    rows[name].reasons.append(str(error))
        for name in (SHIFTED, SWAPPED):
            rows[name].values |= rows[GROUND_TRUTH].values
            rows[name].reasons += rows[GROUND_TRUTH].reasons

    def measure_pair(self, row: ClipRow, generated: Tensor, real: Tensor, with_lpips: bool = True) -> None:
        """What compares pixels, of a generated clip (T, 3, H, W) that may be of other length or size than the real."""
        try:
            frames, target, row.adjusted = self.comparable(generated, real)
            quality = regional_quality(frames, target)
            if frames.shape == target.shape != generated.shape:  # small ones are made of what was generated
                both = len(frames)
                quality |= small_quality(generated[:both], real[:both])
        except InputError as error:
            row.adjusted = ""
            row.reasons.append(str(error))
            return
        row.values |= quality | _moving(frames, target)
        if with_lpips and self.perceptual is not None:
            try:
                (row.values["lpips"],) = self.perceptual.distances([frames], target, [0])
            except InputError as error:
                row.reasons.append(str(error))

    def comparable(self, generated: Tensor, real: Tensor) -> tuple[Tensor, Tensor, str]:
        """Both clips (T, 3, H, W), of one shape by `trim` and `resize`, and what these did; empty: nothing.

        Raises:
            InputError: their shapes still differ.
        """
        both, size = min(len(generated), len(real)), (real.shape[-2], real.shape[-1])
        frames, target, adjusted = generated, real, []
        if len(generated) != len(real) and abs(len(generated) - len(real)) <= self.trim:
            frames, target = generated[:both], real[:both]
            adjusted.append(f"first {both} frames compared: generated has {len(generated)}, real {len(real)}")
        if generated.shape[-2:] != real.shape[-2:] and self.resize:
            frames = at_size(frames, size)
            adjusted.append(
                f"resized from {generated.shape[-1]} x {generated.shape[-2]} to {size[1]} x {size[0]}"
            )
        if frames.shape != target.shape:
            check_pair(generated, real)
        return frames, target, "; ".join(adjusted)


def _moving(frames: Tensor, real: Tensor) -> dict[str, float]:
    """What compares edges and movement, of clips (T, 3, H, W) of one shape."""
    return {"sharpness": sharpness(frames, real), "motion": motion(frames, real)}
