"""Processes that were started early are the ones that work later, with what they have loaded."""

import os

import joblib

from s2v.early_workers import start_workers, wait_for_workers
from tests.s2v.early_work import loaded, what_is_loaded


def test_the_work_finds_the_processes_with_what_they_have_loaded() -> None:
    start_workers(2, "tests.s2v.early_work", "load", "judges")
    wait_for_workers()
    found = joblib.Parallel(n_jobs=2, batch_size=1)(joblib.delayed(what_is_loaded)(n) for n in range(20))
    assert os.getpid() not in {process for process, _ in found}
    assert any(values for _, values in found)  # one process may have been quick enough to load for both
    assert all(value == "judges" for _, values in found for value in values)
    assert not loaded  # not in this process


def test_what_can_not_be_loaded_is_said_by_the_work_itself() -> None:
    start_workers(2, "tests.s2v.early_work", "no_such_function")
    wait_for_workers()
    wait_for_workers()  # nothing left to wait for
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(-n) for n in range(4)) == [0, 1, 2, 3]
