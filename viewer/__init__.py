"""The browser viewer: plain ES modules in ``web/``, and how a Gradio page shows them."""
