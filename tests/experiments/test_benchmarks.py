"""Benchmarks are run by hand: here only that each starts, says how it is called, and is in the experiments' README."""

import runpy
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "experiments" / "benchmarks"
SHARED = {"speech_networks"}
"""What others import."""
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_starts_and_is_documented(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOLDER / f"{name}.py"
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0
    assert f"python experiments/benchmarks/{name}.py" in capsys.readouterr().out
    assert name in (REPOSITORY / "experiments" / "README.md").read_text(encoding="utf-8")
