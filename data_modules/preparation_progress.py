"""The progress bar of a preparation."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class PreparationProgress:
    """Counts clips on a bar, ok and refused apart. Shows nothing where `shown` is false."""

    def __init__(self, total: int, skipped: int, shown: bool = True) -> None:
        self._progress = Progress(
            TextColumn("prepare"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._ok = self._refused = 0
        self._skipped = skipped
        self._task = self._progress.add_task(self._words(), total=total, completed=skipped)

    def advance(self, ok: bool) -> None:
        self._ok, self._refused = self._ok + ok, self._refused + (not ok)
        self._progress.update(self._task, advance=1, description=self._words())

    def _words(self) -> str:
        before = f", {self._skipped} from before" if self._skipped else ""
        return f"{self._ok} ok, {self._refused} refused{before}"

    def __enter__(self) -> "PreparationProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
