"""Pictures of splats and meshes, and videos made of them."""
