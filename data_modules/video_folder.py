"""Any folder of videos."""

from data_modules.talking_face import TalkingFaceDataModule


class VideoFolder(TalkingFaceDataModule):
    """Any folder of talking-head videos; the first subfolder names the speaker, nothing else is labelled.

    Loose files have no speaker.
    """

    layout = "folder"
