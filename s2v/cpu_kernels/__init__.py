"""The published SyncNet's convolutions on a CPU, with fewer multiplications (minimal filtering, Winograd 1980).

`s2v.models.syncnet` takes them where they fit; the same to float32's accuracy, in half the time (docs/performance.md,
*SyncNet*).
"""
