"""Which numbers of several runs compare: what the page warns of, and what it pairs."""

from typing import Any

from s2v.evaluation.definitions import is_without_padding
from s2v.evaluation.summary import CLIP_METRICS, own_metrics
from s2v.reporting.run_folder import Run

_JUDGED = {
    "identity": ("identity_", "gender_agreement"),
    "emotion": ("emotion_",),
    "sync": ("sync_",),
    "perceptual": ("lpips",),
    "fid": ("fid",),
    "landmarks": ("blink_", "mouth_"),
}
"""A report's judges, and how the names of the metrics begin that they measure."""


_PICTURES = {
    "image_size": "have different sizes",
    "resize": "were brought to the real ones' size in some only",
    "trim": "were cut to the real ones' length by other limits",
}
"""What a report's meta tells of pictures before they were compared, and how runs differ in it."""


def incomparable(tested: list[Run]) -> list[str]:
    """What makes the numbers of these runs no comparison, a sentence each."""
    warnings = []
    if len({str(meta_of(run).get("clip_list_sha256")) for run in tested}) > 1:
        warnings.append("The runs were tested on different lists of clips: their numbers don't compare.")
    for key, words in _PICTURES.items():
        if len({str(meta_of(run)[key]) for run in tested if key in meta_of(run)}) > 1:
            warnings.append(f"The runs' pictures {words}: what compares pixels doesn't compare between them.")
    judges = [_judges(run) for run in tested]
    for name in dict.fromkeys(name for found in judges for name in found):
        if len({str(found[name].get("sha256")) for found in judges if name in found}) > 1:
            warnings.append(f"The runs had different {name} judges: numbers made with them don't compare.")
    warnings += _older_padding(tested)
    for run, found in zip(tested, judges, strict=True):
        for name, judge in found.items():
            if judge.get("teacher_used_as_judge") is True:
                warnings.append(f"{run.name}: the {name} judge was the system's own teacher.")
    return warnings


def why_not_paired(one: Run, other: Run) -> str:
    """Why two runs with clips share none of the same pictures; empty where they do.

    `s2v test` and `s2v score` call data and crop by other words: of one of each the same list of clips counts.
    """
    if one.clips is None or other.clips is None or not one.clips.places.keys() & other.clips.places.keys():
        return "no clip that both have"
    mine, theirs = meta_of(one), meta_of(other)
    if str(mine.get("image_size")) != str(theirs.get("image_size")):
        sizes = (found.get("image_size") or "a size unknown" for found in (theirs, mine))
        return f"pictures of {' against '.join(map(str, sizes))}"
    clips = mine.get("clip_list_sha256")
    same_list = clips is not None and clips == theirs.get("clip_list_sha256")
    if _is_scored(mine) != _is_scored(theirs):
        scored, tested = (mine, theirs) if _is_scored(mine) else (theirs, mine)
        if not same_list:
            return "one by `s2v test`, the other by `s2v score`, and not on the same list of clips"
        # clips that `s2v clips` wrote are cropped already, and scored as whole pictures
        if not str(scored.get("crop")).startswith("none") and tested.get("crop") != "face":
            return "one cropped to the face, the other not"
        return ""
    if str(mine.get("crop")) != str(theirs.get("crop")):
        return "cropped in another way"
    if str(mine.get("dataset")) != str(theirs.get("dataset")) and not same_list:
        return "other data, and another list of clips"
    return ""


def _is_scored(meta: dict[str, Any]) -> bool:
    """By `s2v score`, whose reports name the folder of the videos."""
    return meta.get("generated") is not None


def unlike_judges(one: Run, other: Run) -> list[str]:
    """Names of the judges that both have, but not the same one, or not used in the same way."""
    mine, theirs = _judges(one), _judges(other)

    def differ(name: str) -> bool:
        one, other = mine[name], theirs[name]
        return str(one.get("sha256")) != str(other.get("sha256")) or (
            is_without_padding(one) != is_without_padding(other)
        )

    return [name for name in mine if name in theirs and differ(name)]


def unlike_own_metrics(one: Run, other: Run) -> list[str]:
    """Names of metrics of one's own that both runs have, each from another class or with another meaning."""
    mine, theirs = (meta_of(run) for run in (one, other))

    def told(meta: dict[str, Any], name: str) -> list[Any]:
        return [meta["own_metrics"][name].get(key) for key in ("class", "better", "definition")]

    both = [name for name in own_metrics(mine) if name in own_metrics(theirs)]
    return [name for name in both if told(mine, name) != told(theirs, name)]


def is_judged_by(metric: str, judge: str) -> bool:
    """Whether a judge measures a metric; none measures one's own."""
    return metric in CLIP_METRICS and metric.startswith(_JUDGED.get(judge, ()))


def meta_of(run: Run) -> dict[str, Any]:
    """What the report of a run was made with; nothing without a report."""
    return (run.report or {}).get("meta", {})


def _judges(run: Run) -> dict[str, dict[str, Any]]:
    found = meta_of(run).get("judges")
    if not isinstance(found, dict):  # an older report, or another program's
        return {}
    return {name: judge for name, judge in found.items() if isinstance(judge, dict)}


def _older_padding(tested: list[Run]) -> list[str]:
    """One lip-sync judge compared with zeros beyond a clip's ends in some runs, and not in others."""
    by_judge: dict[str, list[tuple[str, bool]]] = {}
    for run in tested:
        if judge := _judges(run).get("sync"):
            by_judge.setdefault(str(judge.get("sha256")), []).append((run.name, is_without_padding(judge)))
    found = []
    for runs in by_judge.values():
        older = ", ".join(name for name, without in runs if not without)
        newer = ", ".join(name for name, without in runs if without)
        if older and newer:
            found.append(
                f"Lips of {older} were compared with zeros beyond a clip's ends, those of {newer} were not: sync "
                f"numbers don't compare; test {older} again, by a newer version."
            )
    return found
