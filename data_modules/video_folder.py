"""Any folder of videos."""

from data_modules.talking_face import TalkingFaceDataModule


class VideoFolder(TalkingFaceDataModule):
    """Any folder of talking-head videos; the first subfolder names the speaker. No other labels."""

    layout = "folder"
