"""The CPU rasteriser: Numba kernels, the threads and buffers they run in, and their PyTorch operations."""
