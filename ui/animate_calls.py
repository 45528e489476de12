"""The calls behind the tab "Animate", for the page and for programs, which find this documentation on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from pipeline.animate import AnimationSettings
from ui.animate import export_video, inspect_files, notes_text, play, save
from ui.motions import LANGUAGE, Shelf, motion_request
from ui.sentences import sentences
from ui.workshop import Workshop


class AnimateCalls:
    """/play, /inspect, /save and /animate on the avatars of a workshop."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.shelf = workshop, Shelf()

    def on_play(
        self,
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        speech: str | None = None,
        transcript: str = "",
        text: str = "",
        language: str = LANGUAGE,
        choices: dict[str, Any] | None = None,
        edits: dict[str, Any] | None = None,
    ) -> tuple[Any, str, str]:
        """Bring a motion to a head, to be played in the viewer. Without clip, files, speech and text the head rests.

        Args:
            avatar_id: the secret id that /create returned.
            clip: name of one of our clips.
            files: files of your own that make up one clip, e.g. an expression and a pose .npy, and a .wav.
            speech: a recording that the head speaks.
            transcript: what is said in it; without it the lips follow roughly.
            text: a sentence that the head speaks.
            language: of the transcript or text, e.g. en or fr.
            choices: sets by hand what /inspect says was assumed, e.g. {"fps": "30", "basis": "flame2020"}.
            edits: e.g. {"trim": [0.5, 3], "speed": 1.2, "smooth": 0.2, "scale": {"jaw": 0.8}, "mix": {"happy": 0.4},
                "blinks": 15, "fade": 0.4, "repeat": 2, "split": [1.5], "part": 2}.

        Returns:
            The viewer's value with avatar.glb, clip and audio, what could not be carried over as Markdown, and a plot
            of the channels as HTML.
        """
        with sentences():
            request = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            played = play(self.workshop, self.shelf, avatar_id, request)
            return played.shown, played.notes, played.plot

    def on_inspect(self, files: list[str] | None = None, choices: dict[str, Any] | None = None) -> dict[str, Any]:
        """Say what motion files hold, before they move anything.

        Args:
            files: the files of one clip.
            choices: sets by hand what was assumed, by its key.

        Returns:
            JSON with format, frames, fps, seconds, basis, lines for people, notes, and choices: what may be set by
            hand, each with key, value, options (empty: a number) and the sentence that says why it was assumed.
        """
        with sentences():
            return inspect_files(self.shelf, motion_request(files=files, choices=choices))

    def on_save(
        self,
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        speech: str | None = None,
        transcript: str = "",
        text: str = "",
        language: str = LANGUAGE,
        choices: dict[str, Any] | None = None,
        edits: dict[str, Any] | None = None,
        format: str = "npz",
    ) -> tuple[str, str]:
        """Write the edited motion for other programs.

        Args:
            avatar_id: the secret id that /create returned.
            clip: as in /play, like everything up to the edits.
            files: see /play.
            speech: see /play.
            transcript: see /play.
            text: see /play.
            language: see /play.
            choices: see /play.
            edits: see /play.
            format: npz, our own clip; flame, GaussianAvatars' flame_param.npz; or arkit, weights as JSON.

        Returns:
            The file, or a zip of the parts of a split clip, and what the format cannot say as Markdown.
        """
        with sentences():
            request = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            path, notes = save(self.workshop, self.shelf, avatar_id, request, format)
            return str(path), notes_text(notes)

    def on_export(
        self,
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        speech: str | None = None,
        transcript: str = "",
        text: str = "",
        language: str = LANGUAGE,
        choices: dict[str, Any] | None = None,
        edits: dict[str, Any] | None = None,
        size: int = 512,
        fps: float = 0,
        layout: str = "single",
        background: str = "grey",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        """Make a video of a head that moves.

        Args:
            avatar_id: the secret id that /create returned.
            clip: as in /play, like everything up to the edits.
            files: see /play.
            speech: see /play.
            transcript: see /play.
            text: see /play.
            language: see /play.
            choices: see /play.
            edits: see /play.
            size: pixels of one square view.
            fps: frames per second; 0 for the clip's own.
            layout: single, turntable, four or mesh.
            background: a colour name or #rrggbb, or transparent for a zip of PNG frames.

        Returns:
            The video (none where the background is transparent), the file to download, and a line on the progress.
        """
        settings = AnimationSettings(size or 512, size or 512, fps or None, layout or "single", background or "grey")
        with sentences():
            request = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            with closing(export_video(self.workshop, self.shelf, avatar_id, request, settings)) as steps:
                for path, export in steps:
                    if path is None:
                        progress((export.done, export.total or None), desc="Drawing", unit="frames")
                        line = f"{export.done} of {export.total} frames" if export.total else "Reading the clip"
                        yield gr.skip(), gr.skip(), line
                        continue
                    result = export.result
                    assert result is not None
                    line = f"{result.frames} frames in {result.seconds:.1f} s ({result.fps:.0f} frames per second)"
                    yield str(path) if path.suffix == ".mp4" else None, str(path), line
