"""Ways to make a first avatar: components of the pipeline.

The name of this module is part of the file format: model_index.json of a saved pipeline says
``"prior": ["pipeline.priors", "ProceduralPrior"]``. A class that was ever saved stays importable from here. diffusers
also looks here for the base class that says how a component is saved and loaded, `DiffusionPipeline`.
"""

from __future__ import annotations

from diffusers import DiffusionPipeline

from pipeline.avatar import SplatAvatar
from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural import Attributes, Understanding, build_avatar, understand
from pipeline.priors.procedural.surface import Head


class ProceduralPrior(DiffusionPipeline):
    """Reads a sentence as attributes and dresses a head in splats, on a CPU, in about a second.

    It is a pipeline of no components, since it has no weights; a prior that has some registers them as its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_to_config()

    def understand(self, prompt: str, seed: int, overrides: dict[str, str]) -> tuple[Understanding, Attributes]:
        """What the sentence says, and every attribute: said, set by ``overrides``, or drawn from the seed.

        Raises `UserError` for a sentence that is not understood, and for an unknown attribute.
        """
        understanding = understand(prompt, seed)
        return understanding, understanding.attributes.with_overrides(overrides)

    def build(self, attributes: Attributes, head: str = "anny") -> SplatAvatar:
        """The rigged head and its splats, on a ``head`` as `AnimPortrait3DPipeline` takes it.

        Raises `UserError` when the file of a licensed head is missing.
        """
        return build_avatar(attributes, _person(head, attributes))


def _person(head: str, attributes: Attributes) -> Head:
    """Whom to dress in splats: the free head as the attributes shape it, or a licensed model that resembles it."""
    person = AnnyHead(attributes.phenotype(), attributes.local_changes)
    if head == "anny":
        return person
    from pipeline.heads.licensed_person import licensed_person  # smplx takes a second to import

    return licensed_person(head, person)


__all__ = ["ProceduralPrior"]
