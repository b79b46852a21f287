"""CREMA-D: 7,442 clips of 91 actors, 12 sentences, 6 emotions."""

from data_modules.talking_face import TalkingFaceDataModule


class CremaD(TalkingFaceDataModule):
    """CREMA-D (Cao et al. 2014): `VideoFlash/*.flv` and `AudioWAV/*.wav` under `root`.

    File names carry the labels (`1001_DFA_ANG_XX`: actor, sentence, emotion, level), so the splits `seen`,
    `unseen` and `sentences` are all there.
    """

    layout = "crema_d"
