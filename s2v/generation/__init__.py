"""From a checkpoint and a recording to a video with sound, all of it streaming."""
