"""What is left out of a config's callbacks."""

from s2v.training.config_callbacks import ONE_A_TEST, last_reports, without_bars


def test_of_a_tests_reports_the_last_one_counts() -> None:
    """The config of a fit that ended with its test has one already, which writes to the fit's folder."""
    ema, clips, report = "callbacks.generator_ema.GeneratorEMA", *ONE_A_TEST
    given = [(clips, "fit"), (report, "fit"), (ema, "a"), (ema, "b"), (report, "test")]
    callbacks = [{"class_path": name, "init_args": {"output_dir": folder}} for name, folder in given]
    kept = last_reports(callbacks)
    assert [(c["class_path"], c["init_args"]["output_dir"]) for c in kept] == [
        (clips, "fit"), (ema, "a"), (ema, "b"), (report, "test")
    ]  # fmt: skip
    assert last_reports(None) is None


def test_only_lightnings_bars_are_left_out() -> None:
    kept = [{"class_path": "own.Bar"}, {"class_path": "callbacks.generator_ema.GeneratorEMA"}]
    bars = [{"class_path": f"lightning.pytorch.callbacks.{name}ProgressBar"} for name in ("Rich", "TQDM")]
    assert without_bars([bars[0], *kept, bars[1]]) == kept
    assert without_bars(None) is None
