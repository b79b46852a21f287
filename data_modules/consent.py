"""Who of a corpus' speakers agreed to a face being made of them: a table that comes with the corpus."""

import csv
from collections.abc import Mapping
from pathlib import Path

from data_modules.composed_name import composed
from s2v.errors import InputError

_SAID = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}


def read_consent(path: Path) -> dict[str, bool]:
    """Speaker -> whether they agreed, from a CSV file with the columns `speaker` and `consent` (yes or no).

    Raises:
        InputError: no such file, other columns, a row cut short, an answer that is neither, a yes without a
            speaker, or a speaker with two answers.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"--consent {path} can't be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if missing := [name for name in ("speaker", "consent") if name not in columns]:
        raise InputError(
            f"--consent {path}: the columns speaker and consent were expected, {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; "
            "name them in its first line"
        )
    consent: dict[str, bool] = {}
    for line, row in enumerate(rows, start=2):
        speaker, answer = row.get("speaker"), row.get("consent")
        if speaker is None or answer is None:
            raise InputError(
                f"--consent {path}, row {line} is cut short: a speaker and yes or no were expected"
            )
        said = _SAID.get(answer.strip().lower())
        if said is None:
            raise InputError(f"--consent {path}, row {line}: yes or no was expected, {answer!r} came")
        # else all clips without a speaker, strangers, would have agreed by it
        if said and not speaker.strip():
            raise InputError(
                f"--consent {path}, row {line} says yes for nobody: a speaker was expected before it"
            )
        if consent.setdefault(composed(speaker.strip()), said) != said:
            raise InputError(f"--consent {path}, row {line}: speaker {speaker!r} has two answers")
    return consent


def answer_of(speaker: str, consent: Mapping[str, bool] | None) -> str:
    """For the manifest: yes, no (silence is no consent), or nothing where nobody was asked."""
    return "" if consent is None else "yes" if consent.get(composed(speaker), False) else "no"
