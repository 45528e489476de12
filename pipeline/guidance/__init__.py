"""What a diffusion model says about pictures of a head, and how it is asked."""
