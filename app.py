"""The page, on this machine or as a Space: `python app.py`, then open the address that it prints."""

from __future__ import annotations

import os
import signal
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
from ui.runs import Runs
from ui.workshop import Workshop


def main() -> None:
    """Serve the page; the kernels are compiled while the first visitor still reads it."""
    share_pools()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end by either, it ends in good order
    try:
        named_by_operator()  # what cannot be is told now, not to each visitor
        workshop = Workshop()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    runs = Runs(workshop)
    page = build_page(workshop, runs)
    page.launch(**launch_options(), prevent_thread_lock=True)
    threading.Thread(target=warm_up, args=(workshop,), name="warm-up", daemon=True).start()
    threading.Thread(target=workshop.keep_tidy, name="keep-tidy", daemon=True).start()
    threading.Thread(target=runs.line.keep_going, name="runs", daemon=True).start()
    page.block_thread()
    runs.line.close()


def warm_up(workshop: Workshop) -> None:
    """Make what greets visitors, then what they see first in the gallery, then what opening others' heads takes."""
    workshop.warm_up()
    build_first(workshop.maker)
    prepare_for_animportrait3d()


if __name__ == "__main__":
    main()
