"""What W&B's offline mode wrote, read back record by record.

A .wandb file is a LevelDB log (blocks of 32 KiB; records of checksum, length, type, data) of protocol buffers, after
a header of 7 bytes.
"""

import json
import struct
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
    """A run: its id, its config and its history's rows; a key inside a value is written `value.key`."""

    run_id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    def values(self, metric: str) -> list[Any]:
        """A metric's values in the order in which they were logged."""
        return [row[metric] for row in self.history if metric in row]


def read_offline_run(folder: Path) -> OfflineRun:
    """A folder offline-run-<time>-<id>."""
    (path,) = folder.glob("*.wandb")
    run = OfflineRun()
    for content in _records(path.read_bytes()):
        record = Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.run_id = record.run.run_id
            run.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            run.config |= {_name(item): json.loads(item.value_json) for item in record.config.update}
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
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield parts
            parts = b""
