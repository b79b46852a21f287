"""What W&B's offline mode wrote, read back record by record.

A .wandb file is a LevelDB log (blocks of 32 KiB; records of checksum, length, type, data) of protocol buffers, after
a header of 7 bytes.
"""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER = 7
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class OfflineRun:
    """A run: its id, its config, its history's rows, how it ended; a key inside a value is written `value.key`."""

    run_id: str = ""
    exit_code: int | None = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def values(self, metric: str) -> list[Any]:
        """A metric's values in the order in which they were logged."""
        return [row[metric] for row in self.history if metric in row]


def read_offline_run(folder: Path, wait: float = 60) -> OfflineRun:
    """A folder offline-run-<time>-<id>, once it has the record that ends a run.

    W&B's own process writes it, on a busy machine some time after `wandb.finish` has returned; after `wait` seconds
    what is there is what counts.
    """
    (path,) = folder.glob("*.wandb")
    deadline = time.monotonic() + wait
    while True:
        records = [Record.FromString(content) for content in _records(path.read_bytes())]
        kinds = [record.WhichOneof("record_type") for record in records]
        if "exit" in kinds or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    run = OfflineRun()
    for record, kind in zip(records, kinds, strict=True):
        if kind == "run":
            run.run_id = record.run.run_id
            run.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            run.config |= {_name(item): json.loads(item.value_json) for item in record.config.update}
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
        elif kind == "history":
            run.history.append({_name(item): json.loads(item.value_json) for item in record.history.item})
    return run


def _name(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _records(data: bytes) -> Iterator[bytes]:
    place, parts = HEADER, b""
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        if left < 7:  # a block's end too short for a record's head
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        if place + 7 + length > len(data):  # still being written
            return
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield parts
            parts = b""
