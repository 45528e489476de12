"""Motion clips: reading, writing, making them, and bringing them to a rig."""

from pipeline.motion.formats import load_motion
from pipeline.motion.formats.npz import write_motion
from pipeline.motion.motion import ARKIT_NAMES, Motion
from pipeline.motion.retarget import Retargeted, retarget

__all__ = ["ARKIT_NAMES", "Motion", "Retargeted", "load_motion", "retarget", "write_motion"]
