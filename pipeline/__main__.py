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

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.motion import Motion

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""
SIZE = re.compile(r"([0-9]{1,6})(?:x([0-9]{1,6}))?")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.verb(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED
    return 0


def create(options: argparse.Namespace) -> None:
    """A sentence becomes an avatar folder."""
    from pipeline.animportrait3d import AnimPortrait3DPipeline
    from pipeline.avatar_folder import check_target, save_avatar_folder

    check_target(options.out)
    started = time.perf_counter()
    attributes = _pairs("--set", options.set, "hair.style=bob")
    output = AnimPortrait3DPipeline()(options.prompt, seed=options.seed, attributes=attributes, head=options.head)
    seconds = time.perf_counter() - started
    avatar, recipe = output.avatars[0], output.recipes[0]
    save_avatar_folder(avatar, recipe, options.out)
    for note in recipe.notes:
        print(f"note: {note}")
    if recipe.unused_words:
        print(f"not understood: {', '.join(recipe.unused_words)}")
    print(f"created {options.out} in {seconds:.2f} s ({len(avatar.face):,} splats)")


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


def doctor(options: argparse.Namespace) -> None:
    """What works on this machine, what does not, and how to get it."""
    from pipeline.doctor import as_text, report

    print(as_text(report()))


def _progress() -> Callable[[int, int], None] | None:
    """Counts frames on the terminal; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    return lambda done, total: print(
        f"\r{done} of {total} frames", end="\n" if done == total else "", file=sys.stderr, flush=True
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


class _Parser(argparse.ArgumentParser):
    """argparse already exits with 2; this keeps its message to one sentence."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"error: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m pipeline", description="Type a sentence, get a talking 3D head.")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    verb = verbs.add_parser("create", help="make an avatar from a sentence")
    verb.add_argument("prompt", metavar="PROMPT", help='a person, e.g. "an old man with a long beard"')
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="avatar folder to write")
    verb.add_argument(
        "--seed", type=int, default=0, metavar="N", help="draws what the sentence leaves open (default 0)"
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="overrides what the sentence says, e.g. hair.style=bob; may be repeated; a wrong NAME lists them all",
    )
    verb.add_argument(
        "--head",
        default="anny",
        metavar="MODEL",
        help="anny (the default, free), or flame, smplx or a release such as flame2023 with your own model file",
    )
    verb.set_defaults(verb=create)

    verb = verbs.add_parser("animate", help="move an avatar and write a video")
    verb.add_argument("avatar", type=Path, metavar="DIR", help="avatar folder")
    moved_by = verb.add_mutually_exclusive_group(required=True)
    moved_by.add_argument(
        "--motion",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="the files of one clip, e.g. an .npz, or an expression and a pose .npy; a .wav adds its sound",
    )
    moved_by.add_argument("--speech", type=Path, metavar="SOUND", help="a recording (WAV, FLAC, Ogg, MP3 or M4A)")
    moved_by.add_argument("--say", metavar="TEXT", help="a text, spoken by eSpeak NG")
    verb.add_argument("--transcript", metavar="TEXT", help="what is said in the recording, for lips that fit")
    verb.add_argument(
        "--language", default="en", metavar="CODE", help="of the text or transcript (default en), e.g. en-us, de, fr"
    )
    _add_choose(verb)
    verb.add_argument(
        "--edit",
        default="",
        metavar="JSON",
        help='changes the clip, e.g. \'{"trim": [0.5, 3], "speed": 1.2, "mix": {"happy": 0.4}}\'',
    )
    verb.add_argument("--video", type=Path, required=True, metavar="OUT", help="OUT.mp4, or a folder for PNG frames")
    verb.add_argument("--size", default="512", metavar="N[xM]", help="pixels of one view: 512 (the default) or 640x360")
    verb.add_argument("--fps", type=float, metavar="F", help="frames per second (default: the clip's)")
    verb.add_argument(
        "--layout",
        choices=("single", "turntable", "four"),
        default="single",
        help="from the front (the default), round the head, or four views",
    )
    verb.add_argument(
        "--background",
        default="grey",
        metavar="COLOUR",
        help="name (default grey), #rrggbb or transparent (PNG frames)",
    )
    verb.set_defaults(verb=animate)

    verb = verbs.add_parser("export", help="write one pose for other programs")
    verb.add_argument("avatar", type=Path, metavar="DIR", help="avatar folder")
    verb.add_argument(
        "--format",
        choices=("ply", "spz", "glb", "animportrait3d"),
        required=True,
        help="3DGS PLY, Niantic's SPZ, KHR_gaussian_splatting glTF, or AnimPortrait3D's own zip (or its .ply alone) of "
        "an avatar that was opened from one",
    )
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    verb.add_argument(
        "--pose", type=Path, nargs="+", metavar="FILE", help="motion clip to take the pose from (default: at rest)"
    )
    verb.add_argument("--frame", type=int, default=0, metavar="N", help="frame of that clip (default 0)")
    verb.set_defaults(verb=export)

    verb = verbs.add_parser("import", help="open an avatar of AnimPortrait3D's gallery, or an avatar folder as a zip")
    verb.add_argument("avatar", type=Path, metavar="FILE", help="zip, or folder with its files")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="avatar folder to write")
    verb.set_defaults(verb=import_)

    verb = verbs.add_parser("inspect", help="say what motion clips and avatars hold")
    verb.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="motion file, avatar folder or zip, .glb, .ply or .spz"
    )
    _add_choose(verb)
    verb.set_defaults(verb=inspect)

    verb = verbs.add_parser("doctor", help="say what works on this machine, what does not, and how to get it")
    verb.set_defaults(verb=doctor)
    return parser


def _add_choose(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--choose",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="sets right what was assumed of a motion file, e.g. fps=30; may be repeated; inspect lists the choices",
    )


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path or word that the terminal cannot show is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
