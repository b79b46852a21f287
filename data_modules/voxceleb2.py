"""VoxCeleb2: 6,112 speakers, clips cut from interviews."""

from data_modules.talking_face import TalkingFaceDataModule


class VoxCeleb2(TalkingFaceDataModule):
    """VoxCeleb2 (Chung et al. 2018): `[dev|test/]mp4/idNNNNN/VIDEO/NNNNN.mp4` under `root`.

    No emotion and no sentence labels. With folders dev/ and test/ in place, split `official` is the authors'.
    """

    layout = "voxceleb2"
