"""Write our own motion clips beside this file: python examples/make_motions.py [FOLDER]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.motion import write_motion
from pipeline.motion.clips import CLIPS

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "motions"
for name, make in CLIPS.items():
    motion = make()
    path = folder / f"{name}.npz"
    write_motion(motion, path, precision="float16")
    print(f"{path}: {len(motion)} frames, {motion.duration:.1f} s, {path.stat().st_size / 1024:.0f} kB")
