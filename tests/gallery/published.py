"""Small repositories in the exact layouts of the published galleries."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
from PIL import Image

from tests.hub.server import LoopbackHub

ANIMPORTRAIT3D = "onethousand/AnimPortrait3D_gallery"
PORTRAIT3D = "onethousand/Portrait3D_gallery"
PROPERTIES = (
    ["x", "y", "z"]
    + [f"f_dc_{i}" for i in range(3)]
    + [f"f_rest_{i}" for i in range(45)]
    + ["opacity"]
    + [f"scale_{i}" for i in range(3)]
    + [f"rot_{i}" for i in range(4)]
    + ["binding_0"]
    + [f"{name}_points_mask" for name in ("hair", "clothes", "smplx", "teeth", "eye_region")]
)
PROMPTS = {"000": "a queen with a golden crown", "001": "an old sailor – with a pipe"}


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def picture(width: int, height: int, colours: list[str], kind: str = "PNG") -> bytes:
    """Squares of these colours side by side, row after row, in a picture of that size."""
    drawn = Image.new("RGB", (width, height))
    side = width // min(len(colours), 4)
    for index, colour in enumerate(colours):
        drawn.paste(colour, (index % 4 * side, index // 4 * side, (index % 4 + 1) * side, (index // 4 + 1) * side))
    encoded = io.BytesIO()
    drawn.save(encoded, kind)
    return encoded.getvalue()


def point_cloud(count: int = 300) -> bytes:
    """A point_cloud.ply of AnimPortrait3D: 65 float properties of every splat."""
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    head += [f"property float {name}" for name in PROPERTIES] + ["end_header", ""]
    values = np.random.default_rng(0).normal(size=(count, len(PROPERTIES))).astype("<f4")
    return "\n".join(head).encode() + values.tobytes()


def animportrait3d_zip(prompt: str, folder: str = "") -> bytes:
    """One head as it is published."""
    fitted = pickle.dumps({"betas": np.zeros((1, 300), np.float32)})
    members = {"fitted_params.pkl": fitted, "point_cloud.ply": point_cloud(), "prompt.txt": prompt.encode()}
    return zipped({folder + name: content for name, content in members.items()})


def publish_animportrait3d(hub: LoopbackHub) -> str:
    """The gallery of AnimPortrait3D with two heads; the sha of its commit."""
    files = {f"{name}.zip": animportrait3d_zip(prompt) for name, prompt in PROMPTS.items()}
    files["preview/000.png"] = picture(3200, 800, ["red", "green", "blue", "white"])
    files["preview/001_preview.jpg"] = picture(3200, 1600, ["yellow"] * 4 + ["black"] * 4, "JPEG")
    files["README.md"] = b"---\nlicense: mit\n---\n"
    return hub.write("datasets", ANIMPORTRAIT3D, files)


def publish_portrait3d(hub: LoopbackHub) -> str:
    """Two zips of the gallery of Portrait3D with two heads each, members stored as torch stores them."""
    noise = np.random.default_rng(1).bytes(400_000)
    shards = {}
    for shard in range(2):
        members = {}
        for head in (f"{shard * 2 + one:03d}" for one in range(2)):
            members[f"{head}/{head}_pyramid_trigrid.pth"] = head.encode() + noise
            members[f"{head}/{head}_prompt.txt"] = f"head number {head}\n".encode()
            members[f"{head}/{head}_preview.png"] = picture(512, 512, ["navy"])
            members[f"{head}/{head}_log.json"] = b"{}"
        shards[f"{shard:03d}.zip"] = zipped(members, zipfile.ZIP_STORED)
    return hub.write("datasets", PORTRAIT3D, {**shards, "README.md": b"---\nlicense: cc-by-4.0\n---\n"})
