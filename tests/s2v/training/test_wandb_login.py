import os
from pathlib import Path

import pytest

from s2v.training.wandb_login import is_logged_in, work_offline_unless_logged_in


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a login, without settings, whose netrc file is `tmp_path/netrc`."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "")  # so that what the code sets is put back
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def write_netrc(tmp_path: Path, host: str) -> None:
    (tmp_path / "netrc").write_text(f"machine {host}\n  login user\n  password {'k' * 40}\n")
    (tmp_path / "netrc").chmod(0o600)


def test_nobody_works_offline(monkeypatch: pytest.MonkeyPatch) -> None:

    assert not is_logged_in()
    assert work_offline_unless_logged_in()
    assert os.environ["WANDB_MODE"] == "offline"
    assert not work_offline_unless_logged_in()  # already


def test_a_key_or_a_login_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_netrc(tmp_path, "api.wandb.ai")
    assert is_logged_in() and not work_offline_unless_logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert not is_logged_in()
    write_netrc(tmp_path, "wandb.example.org:8080")
    assert is_logged_in()
    (tmp_path / "netrc").unlink()
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.setenv(name, "k" * 40)
        assert is_logged_in()
        monkeypatch.delenv(name)
        assert not is_logged_in()


def test_a_broken_netrc_is_no_login(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine\n")
    assert not is_logged_in()


def test_an_explicit_mode_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert not work_offline_unless_logged_in()
