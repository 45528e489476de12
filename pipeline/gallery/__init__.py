"""What there is to look at before making anything: one list from several sources, each usable without the others."""

from pipeline.gallery.entry import Entry

__all__ = ["Entry"]
