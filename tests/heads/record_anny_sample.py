"""Records what Anny itself gives for a few random people, so that tests need no ``anny``:
``python -m tests.heads.record_anny_sample`` writes ``tests/heads/data/anny_sample.npz``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.heads.anny import local_change_names
from pipeline.heads.anny_file import read_head_file
from pipeline.heads.bake_anny import to_our_axes, write_npz

SAMPLE = Path(__file__).parent / "data" / "anny_sample.npz"
CASES, VERTICES, CHANGES, ACTIONS = 24, 400, 5, 5


def record() -> dict[str, NDArray[np.generic]]:
    """Arrays of the sample: parameters per case and Anny's rest vertices (cases, vertices, 3) in our axes."""
    import anny

    model = anny.Anny(local_changes="default", facial_actions="all", phenotypes="all").to(dtype=torch.float64)
    head = read_head_file()
    rng = np.random.default_rng(7)
    base = model.base_mesh_vertex_indices.numpy()
    vertex_ids = np.sort(rng.choice(np.intersect1d(base, head.vertex_ids), VERTICES, replace=False))
    rows = np.searchsorted(base, vertex_ids)
    labels = list(model.phenotype_labels)
    phenotypes = rng.uniform(0, 1, (CASES, len(labels)))
    phenotypes[:, labels.index("age")] = rng.uniform(-1 / 3, 1, CASES)
    shared = [name for name in local_change_names() if name in model.local_change_labels]
    changes = np.array([rng.choice(shared, CHANGES, replace=False) for _ in range(CASES)])
    actions = np.array([rng.choice(head.actions.names, ACTIONS, replace=False) for _ in range(CASES)])
    change_values, action_values = rng.uniform(-1, 1, (CASES, CHANGES)), rng.uniform(0, 1, (CASES, ACTIONS))
    vertices = [
        model(
            phenotype_kwargs=dict(zip(labels, phenotypes[case], strict=True)),
            local_changes_kwargs=dict(zip(changes[case], change_values[case], strict=True)),
            facial_actions=dict(zip(actions[case], action_values[case], strict=True)),
        )["rest_vertices"][0, rows]
        .detach()
        .numpy()
        for case in range(CASES)
    ]
    return {
        "vertex_ids": vertex_ids,
        "vertices": to_our_axes(np.stack(vertices)).astype(np.float32),
        "phenotype_names": np.array(labels),
        "phenotypes": phenotypes,
        "changes": changes,
        "change_values": change_values,
        "actions": actions,
        "action_values": action_values,
    }


if __name__ == "__main__":
    write_npz(SAMPLE, record())
    print(f"wrote {SAMPLE}: {SAMPLE.stat().st_size / 1e3:.0f} kB")
