"""`python -m data_modules.preparation_worker`: the child process in which clips are decoded."""

import json
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_modules.layouts import FoundClip
from data_modules.preparation_records import append_record, record_of, sources_of
from data_modules.timed_worker import serve
from s2v.errors import one_line

_MOST_MEMORY = 6 * 2**30


def main(journal_dir: Path) -> None:
    """Serves requests {clip, root, cache_dir, settings}; answers {record} or {fatal}."""
    import cv2

    from data_modules.clip_preparation import prepare_clip
    from data_modules.clip_refused import ClipRefused, refused_row
    from data_modules.preparation_settings import PreparationSettings

    cv2.setNumThreads(1)
    _limit_memory()
    journal = journal_dir / f"{uuid.uuid4().hex}.jsonl"

    def answer(request: dict[str, Any], longer: Callable[[float], None]) -> dict[str, Any]:
        clip = FoundClip(**request["clip"])
        root, cache_dir = Path(request["root"]), Path(request["cache_dir"])
        settings = PreparationSettings(**request["settings"])
        again, sources = False, sources_of(clip, root)
        a_minute = request["time_limit"]
        try:
            row = prepare_clip(
                clip, root, cache_dir, settings, on_length=lambda seconds: longer(seconds / 60 * a_minute)
            )
        except OSError as error:
            return {"fatal": f"{error.strerror or error}"}
        except ClipRefused as refusal:
            row, again = refused_row(clip, str(refusal)), True
        except Exception as error:
            # whatever a decoder makes of a hostile file: this clip's row, not the run's end
            row = refused_row(clip, f"decoder failed: {type(error).__name__}: {one_line(error, 200)}")
            again = True
        record = record_of(asdict(row), clip, root, cache_dir, settings.key(), again=again, sources=sources)
        try:
            append_record(journal, record)
        except OSError as error:
            return {"fatal": f"{error.strerror or error}"}
        return {"record": record}

    serve(answer)


def _limit_memory() -> None:
    """A file that claims absurd sizes runs into this limit, not the machine into swapping."""
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


if __name__ == "__main__":
    os.chdir("/")
    main(Path(json.loads(sys.argv[1])))
