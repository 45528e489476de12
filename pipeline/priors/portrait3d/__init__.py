"""Portrait3D (Wu et al., SIGGRAPH 2024): pyramid tri-grids, their renderer and generator, and how text becomes one."""
