"""Videos that are there already: kept, or of another recording and in the way."""

import sys
from collections import Counter

from s2v.generation.export_plan import Export
from s2v.generation.sidecar import OF_ANOTHER_RECORDING, Provenance, what_differs


def say_what_is_kept(there: list[Export], of: int, provenance: Provenance) -> int:
    """Print which videos are left as they are, and how they differ from those asked for.

    Returns:
        how many are of another recording, under whose name theirs can't be made.
    """
    differing = {export: what_differs(export.output, export.speech, provenance) for export in there}
    occupied = [export for export, how in differing.items() if how == OF_ANOTHER_RECORDING]
    for export in occupied:
        line = (
            f"failed: {export.speech} can't be made into {export.output}: that is {OF_ANOTHER_RECORDING}, "
            "or of an earlier state of this one; choose another --output, or say --overwrite"
        )
        print(line.replace("\n", " "), file=sys.stderr)
    kept = [how for how in differing.values() if how != OF_ANOTHER_RECORDING]
    if kept:
        names = str(there[0].output) if of == 1 else f"{len(kept)} of {of} videos"
        ways = Counter(how for how in kept if how is not None)
        notes = [f", {'' if of == 1 else f'{count} of them '}{how}" for how, count in ways.items()]
        print(f"kept {names}, already there{''.join(notes)} (--overwrite makes them anew)".replace("\n", " "))
    return len(occupied)
