"""The process that a command runs in: how it ends, its threads, the memory it frees."""
