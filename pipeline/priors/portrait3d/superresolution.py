"""From a small picture and its features to the picture of 512² that the generator was trained to show."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from pipeline.priors.portrait3d.decoder import COLORS, LATENT
from pipeline.priors.portrait3d.stylegan2 import SynthesisBlock


class SuperResolution(nn.Module):
    """Two blocks of StyleGAN2, each doubling the resolution, without noise (EG3D, Chan et al. 2022, section 4.3).

    Both are styled by the last row of ws.
    """

    def __init__(self, image_resolution: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.input_resolution = image_resolution // 4
        first, second = widths
        self.block0 = SynthesisBlock(COLORS, first, LATENT, image_resolution // 2, 3)
        self.block1 = SynthesisBlock(first, second, LATENT, image_resolution, 3)

    def forward(self, image: Tensor, features: Tensor, ws: Tensor) -> Tensor:
        """Image (B,3,h,w) in −1..1 and its features (B,32,h,w), of any size; ws (B,num_ws,512): (B,3,4·R,4·R)."""
        last = ws[:, -1:].expand(-1, 3, -1)
        x, small = self._fitted(features), self._fitted(image)
        x, middle = self.block0(x, small, last, "none")
        return self.block1(x, middle, last, "none")[1]

    def _fitted(self, x: Tensor) -> Tensor:
        """At the input resolution R."""
        size = (self.input_resolution, self.input_resolution)
        if x.shape[-2:] == size:
            return x
        return functional.interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
