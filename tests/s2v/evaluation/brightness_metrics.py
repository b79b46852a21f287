"""Metrics of one's own with values that a test can work out."""

from s2v.errors import InputError
from s2v.evaluation.clip_metric import ClipMetric, ShownClip


class Brightness(ClipMetric):
    """Of whatever frames there are."""

    better = {"brightness": "one", "frames": ""}
    definitions = {"brightness": "mean value, generated / real", "frames": "how many < there are"}

    def measure(self, clip: ShownClip) -> dict[str, float]:
        ratio = clip.frames.float().mean() / clip.real.float().mean()
        return {"brightness": float(ratio), "frames": len(clip.frames)}


class PixelError(ClipMetric):
    """Needs frames that lie over each other."""

    better = {"pixel_error": "down"}
    definitions = {"pixel_error": "mean absolute difference"}
    same_shape = True

    def measure(self, clip: ShownClip) -> dict[str, float]:
        return {"pixel_error": float((clip.frames.float() - clip.real.float()).abs().mean())}


class FirstSample(ClipMetric):
    """Tells what it hears beside what it sees."""

    better = {"first_sample": "real", "samples_a_frame": ""}
    definitions = {"first_sample": "of the speech", "samples_a_frame": "speech / frames"}
    hears = True

    def measure(self, clip: ShownClip) -> dict[str, float]:
        return {"first_sample": float(clip.speech[0]), "samples_a_frame": len(clip.speech) / len(clip.frames)}


class Daylight(ClipMetric):
    """Refuses dark pictures."""

    better = {"daylight": "up"}
    definitions = {"daylight": "mean value of pictures that are not dark"}

    def measure(self, clip: ShownClip) -> dict[str, float]:
        mean = float(clip.frames.float().mean())
        if mean < 1:
            raise InputError("too dark to see anything")
        return {"daylight": mean}


class Undeclared(ClipMetric):
    """Gives more than it says."""

    better = {"said": "up"}
    definitions = {"said": "something"}

    def measure(self, clip: ShownClip) -> dict[str, float]:
        return {"said": 1.0, "unsaid": 2.0}


class WithArguments(Brightness):
    """Can't be made by its name alone."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
