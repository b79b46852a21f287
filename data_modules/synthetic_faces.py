"""The synthetic corpus, in CREMA-D's own layout."""

from typing import Any

from data_modules.prepared_clips import is_prepared
from data_modules.talking_face import TalkingFaceDataModule
from data_modules.unfinished import is_unfinished


class SyntheticFaces(TalkingFaceDataModule):
    """What `s2v synthesize` writes: drawn faces with synthesised voices, in CREMA-D's layout and file names.

    With a `root` and no cache yet, `prepare_data` prepares the corpus there, synthesizing it where it is not.

    Args:
        cache_dir: folder of the prepared clips.
        num_speakers: speakers synthesized where `root` has no corpus.
        clips_per_speaker: clips of each.
        corpus_seed: same seed, same corpus.
        kwargs: the arguments of every data module.
    """

    layout = "crema_d"

    def __init__(
        self,
        cache_dir: str,
        num_speakers: int = 6,
        clips_per_speaker: int = 24,
        corpus_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(cache_dir, **kwargs)
        self.num_speakers = num_speakers
        self.clips_per_speaker = clips_per_speaker
        self.corpus_seed = corpus_seed

    def prepare_data(self) -> None:
        begun = self.root is not None and (self.root / "VideoFlash").is_dir()
        if (
            self.root is not None
            and not is_prepared(self.cache_dir)
            and (not begun or is_unfinished(self.root))
        ):
            from data_modules.synthetic.corpus import write_corpus

            write_corpus(
                self.root,
                "crema_d",
                self.num_speakers,
                self.clips_per_speaker,
                seed=self.corpus_seed,
                size=self.image_size,
                workers=max(self.num_workers, 1),
            )
        super().prepare_data()
