"""The card (README.md) of a saved pipeline."""

from __future__ import annotations

from typing import Any

import yaml

TAGS = ("animportrait3d", "text-to-3d", "gaussian-splatting", "talking-head")
DIFFUSION_TAGS = ("stable-diffusion", "controlnet")
CODE_LICENCE, WEIGHTS_LICENCE = "apache-2.0", "creativeml-openrail-m"
"""Of a pipeline without weights, and of Stable Diffusion and what is trained from it."""
BODY = """# AnimPortrait3D pipeline

From a sentence to a rigged 3D head of Gaussian splats. The classes are those of AnimPortrait3D on the web, whose folder
must be on Python's path; nothing of this repository is executed.

```python
from pipeline import AnimPortrait3DPipeline

pipe = AnimPortrait3DPipeline.from_pretrained("OWNER/NAME")  # this repository
avatar = pipe("an old man with a long beard", seed=0).avatars[0]
```
"""
REFINING = """
It holds a diffusion model, which refines the head; that takes a GPU:

```python
pipe.to("cuda")
avatar = pipe("an old man with a long beard", seed=0, refine=True).avatars[0]
```

Whoever uses its weights keeps to the licences of the models that they came from:

{models}
"""


def checkpoint_card(models: dict[str, str]) -> str:
    """The card; ``models`` is where each diffusion component came from, empty for a pipeline without any."""
    places = sorted({place.split("@")[0] for place in models.values() if "/" in place})
    entries: dict[str, Any] = {
        "license": WEIGHTS_LICENCE if models else CODE_LICENCE,
        "library_name": "diffusers",
        "tags": [*TAGS, *(DIFFUSION_TAGS if models else ())],
    }
    if places:
        entries["base_model"] = places
    told = REFINING.format(models="\n".join(f"- {name}: {place}" for name, place in sorted(models.items())))
    return f"---\n{yaml.safe_dump(entries, sort_keys=False)}---\n{BODY}{told if models else ''}"
