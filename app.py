"""The page, on this machine or as a Space: `python app.py`, then open the address that it prints."""

from __future__ import annotations

import os
import sys
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import spaces  # noqa: F401 — on ZeroGPU it takes CUDA's place, which nothing may have touched before

from pipeline.errors import UserError
from pipeline.gallery.datasets import named_by_operator
from pipeline.importing import prepare_for_animportrait3d
from ui.gallery_heads import build_first
from ui.memory import share_pools
from ui.page import build_page, launch_options
from ui.workshop import Workshop


def main() -> None:
    """Serve the page; the kernels are compiled while the first visitor still reads it."""
    share_pools()
    try:
        named_by_operator()  # what cannot be is told now, not to each visitor
        workshop = Workshop()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    page = build_page(workshop)
    page.launch(**launch_options(), prevent_thread_lock=True)
    threading.Thread(target=warm_up, args=(workshop,), name="warm-up", daemon=True).start()
    threading.Thread(target=workshop.keep_tidy, name="keep-tidy", daemon=True).start()
    page.block_thread()


def warm_up(workshop: Workshop) -> None:
    """Make what greets visitors, then what they see first in the gallery, then what opening others' heads takes."""
    workshop.warm_up()
    build_first(workshop.maker)
    prepare_for_animportrait3d()


if __name__ == "__main__":
    main()
