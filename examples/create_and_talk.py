"""A sentence in, a talking head out: python -m examples.create_and_talk"""

from pathlib import Path

from pipeline import AnimPortrait3DPipeline
from pipeline.animate import AnimationSettings, animate_to_video

pipe = AnimPortrait3DPipeline()
output = pipe("an elderly asian woman with a grey bun and round glasses", seed=1)
avatar = output.avatars[0]

clip = Path(__file__).parent / "motions" / "talk.npz"
result = animate_to_video(avatar, [clip], Path("talk.mp4"), AnimationSettings(width=512, height=512))
print(f"talk.mp4: {result.frames} frames")
