"""Command line: one verb per thing a person does. Exit code 0, or 2 with one sentence for what the person can mend."""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.arguments import command_parser, is_about_runs
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.motion import Motion

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""
SIZE = re.compile(r"([0-9]{1,6})(?:x([0-9]{1,6}))?")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    options = command_parser().parse_args(arguments)
    try:
        return VERBS[options.verb](options) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED


def create(options: argparse.Namespace) -> int | None:
    """A sentence becomes an avatar folder; or, with a diffusion model, a run does."""
    attributes = _pairs("--set", options.set, "hair.style=bob")
    if is_about_runs(options):
        from pipeline.jobs.command import create_by_run

        return create_by_run(options, attributes)
    from pipeline.animportrait3d import AnimPortrait3DPipeline
    from pipeline.avatar_folder import check_target, save_avatar_folder

    check_target(options.out)
    started = time.perf_counter()
    head = options.head or "anny"
    output = AnimPortrait3DPipeline()(options.prompt, seed=options.seed or 0, attributes=attributes, head=head)
    seconds = time.perf_counter() - started
    avatar, recipe = output.avatars[0], output.recipes[0]
    save_avatar_folder(avatar, recipe, options.out)
    for note in recipe.notes:
        print(f"note: {note}")
    if recipe.unused_words:
        print(f"not understood: {', '.join(recipe.unused_words)}")
    print(f"created {options.out} in {seconds:.2f} s ({len(avatar.face):,} splats)")
    return None


def animate(options: argparse.Namespace) -> None:
    """A motion clip, a recording or a text moves an avatar; the result is a video."""
    from pipeline.animate import AnimationSettings, animate_to_video
    from pipeline.avatar_folder import load_avatar_folder
    from pipeline.motion.edits import Edits, apply

    edits = Edits.from_json(options.edit)
    width, height = _size(options.size)
    settings = AnimationSettings(width, height, options.fps, options.layout, options.background)
    avatar = load_avatar_folder(options.avatar)
    with tempfile.TemporaryDirectory(prefix="animportrait3d-speech-") as folder:
        clip = apply(_clip(options, Path(folder)), edits, avatar.rig, Path(folder))
        result = animate_to_video(avatar, clip, options.video, settings, progress=_progress())
    for note in result.notes:
        print(f"note: {note}")
    print(
        f"wrote {options.video}: {result.frames} frames in {result.seconds:.2f} s ({result.fps:.0f} frames per second)"
    )


def _clip(options: argparse.Namespace, folder: Path) -> Motion:
    """The clip that ``animate`` was asked for; a spoken text's sound is written to ``folder``."""
    from pipeline.motion import load_motion
    from pipeline.motion.speech import say, speech_motion

    if options.choose and options.motion is None:
        raise UserError("--choose belongs to --motion; a recording or a text leaves nothing open")
    if options.transcript is not None and options.speech is None:
        raise UserError("--transcript belongs to --speech; give the recording too, or the text alone with --say")
    if options.say is not None:
        return say(options.say, options.language, folder=folder)
    if options.speech is not None:
        return speech_motion(options.speech, options.transcript, options.language)
    return load_motion(options.motion, _pairs("--choose", options.choose, "fps=30"))


def export(options: argparse.Namespace) -> None:
    """One pose of an avatar becomes a file for other programs."""
    from pipeline.avatar_folder import load_avatar_folder, stored_prompt
    from pipeline.export import export_pose, pose_of_clip

    avatar = load_avatar_folder(options.avatar)
    pose = pose_of_clip(avatar, options.pose, options.frame)
    export_pose(avatar, options.format, options.out, *pose, prompt=stored_prompt(options.avatar))
    print(f"wrote {options.out}")


def import_(options: argparse.Namespace) -> None:
    """Somebody else's avatar becomes an avatar folder."""
    from pipeline.avatar_folder import check_target, save_avatar_folder
    from pipeline.importing import import_avatar

    check_target(options.out)
    imported = import_avatar(options.avatar)
    save_avatar_folder(imported.avatar, imported.recipe, options.out)
    for note in imported.notes:
        print(f"note: {note}")
    print(f"imported {options.out}: {imported.recipe.prompt!r} ({len(imported.avatar.face):,} splats)")


def inspect(options: argparse.Namespace) -> None:
    """Say what each file holds, and of those that cannot be used why; then they are an error."""
    from pipeline.inspection import describe

    choices = _pairs("--choose", options.choose, "fps=30")
    failed = []
    for path in options.files:
        try:
            print(f"{path}: " + "\n  ".join(describe(path, choices)))
        except UserError as error:
            print(f"{path}: error: {error}")
            failed.append(path.name)
    if failed:
        raise UserError(f"{len(failed)} of {len(options.files)} files cannot be used: {', '.join(failed)}")


def publish(options: argparse.Namespace) -> None:
    """An avatar folder goes to a data set of the person's own on the Hugging Face Hub."""
    from huggingface_hub import get_token

    from pipeline.hub.publish import publish as publish_avatar

    published = publish_avatar(
        options.avatar,
        options.to,
        token=get_token(),
        private=options.private,
        licence=options.licence,
        as_pull_request=options.pull_request,
        progress=_progress("kB", 1000) or (lambda done, total: None),
    )
    print(f"{'published' if published.changed else 'it was there already:'} {published.url}")


def evaluate(options: argparse.Namespace) -> None:
    """Figures of avatars in many poses and through a clip, as a report."""
    from pipeline.evaluation import check_target, clip_models, write_report
    from pipeline.evaluation import evaluate as evaluate_avatar
    from pipeline.motion import load_motion

    check_target(options.out)
    clip = load_motion(options.motion, _pairs("--choose", options.choose, "fps=30"))
    models = clip_models(options.clip)
    evaluations = []
    for folder in options.avatars:
        print(f"{folder}:")
        done = evaluate_avatar(folder, clip, options.size, models=models, progress=_progress("pictures"))
        print("\n".join(f"  {line}" for line in done.figures.told()))
        evaluations.append(done)
    print(f"wrote {write_report(evaluations, options.out, options.motion[0].name)}")


def doctor(options: argparse.Namespace) -> None:
    """What works on this machine, what does not, and how to get it."""
    from pipeline.doctor import as_text, report

    print(as_text(report()))


def _progress(unit: str = "frames", size: int = 1) -> Callable[[int, int], None] | None:
    """Counts units of a ``size`` on the terminal; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    return lambda done, total: print(
        f"\r{done // size} of {total // size} {unit}", end="\n" if done == total else "", file=sys.stderr, flush=True
    )


def _pairs(flag: str, pairs: list[str], example: str) -> dict[str, str]:
    """``["hair.style=bob"]`` → ``{"hair.style": "bob"}``."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise UserError(f"{flag} {pair!r} is not NAME=VALUE, e.g. {flag} {example}")
        values[key.strip()] = value.strip()
    return values


def _size(text: str) -> tuple[int, int]:
    """``"512"`` → (512, 512), ``"640x360"`` → (640, 360)."""
    size = SIZE.fullmatch(text)
    if size is None:
        raise UserError(f"--size {text[:40]!r} is not a number of pixels, e.g. 512 or 640x360")
    return int(size[1]), int(size[2] or size[1])


VERBS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "create": create,
    "animate": animate,
    "export": export,
    "import": import_,
    "inspect": inspect,
    "publish": publish,
    "evaluate": evaluate,
    "doctor": doctor,
}

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path or word that the terminal cannot show is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
