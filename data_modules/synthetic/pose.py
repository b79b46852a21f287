"""What moves from frame to frame."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pose:
    """One frame's face. Shifts in fractions of the picture's height, roll in degrees, gaze and turn -1..1."""

    opening: float = 0.0  # 0 closed .. 1 widest
    width: float = 0.0  # -1 rounded .. +1 spread
    lip_on_teeth: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    blink: float = 0.0  # 1: eyes shut
    brow: float = 0.0  # raised by this much
    x: float = 0.0
    y: float = 0.0
    roll: float = 0.0
    turn: float = 0.0
    gaze: float = 0.0


@dataclass(frozen=True)
class Light:
    """One clip's light and wall."""

    gain: float = 1.0
    side: float = -1.0  # -1 from the left .. 1 from the right
    wall: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factors on the background's red, green, blue
