"""The command line's verbs and what each takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError

VIEWS = ("quick", "published")
"""Configurations of the rigged initialisation."""
OF_REFINING = ("recipe", "resolution", "controlnet")
"""Options of ``create`` that mean something with ``--refine`` alone."""
OF_DIFFUSION = ("steps_scale", "model", "dtype")
"""… with ``--refine`` or ``--prior portrait3d``."""
OF_RIGGING = ("views", "landmarks", "parser", "normals")
"""… with ``--portrait`` or ``--prior portrait3d``."""
OF_RUNS = ("device", "threads", "checkpoint_every", "run", "mirror")
"""… with any of the three: what makes a run."""


class _Parser(argparse.ArgumentParser):
    """argparse already exits with 2; this keeps its message to one sentence."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"error: {message} (see --help)\n")


def command_parser() -> argparse.ArgumentParser:
    """The parser; ``verb`` of what it returns is the name of the verb."""
    parser = _Parser(prog="python -m pipeline", description="Type a sentence, get a talking 3D head.")
    verbs = parser.add_subparsers(title="verbs", dest="verb", required=True, metavar="VERB")

    verb = verbs.add_parser("create", help="make an avatar from a sentence")
    verb.add_argument("prompt", metavar="PROMPT", nargs="?", help='a person, e.g. "an old man with a long beard"')
    verb.add_argument("--out", type=Path, metavar="DIR", help="avatar folder to write")
    verb.add_argument("--seed", type=int, metavar="N", help="draws what the sentence leaves open (default 0)")
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="overrides what the sentence says, e.g. hair.style=bob; may be repeated; a wrong NAME lists them all",
    )
    verb.add_argument(
        "--head",
        metavar="MODEL",
        help="anny (the default, free), or flame, smplx or a release such as flame2023 with your own model file",
    )
    _add_portrait(verb)
    _add_refinement(verb)
    _add_run(verb)

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
        choices=("single", "turntable", "four", "mesh"),
        default="single",
        help="from the front (the default), round the head, four views, or the splats beside their mesh",
    )
    verb.add_argument(
        "--background",
        default="grey",
        metavar="COLOUR",
        help="name (default grey), #rrggbb or transparent (PNG frames)",
    )

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

    verb = verbs.add_parser("import", help="open an avatar of AnimPortrait3D's gallery, or an avatar folder as a zip")
    verb.add_argument("avatar", type=Path, metavar="FILE", help="zip, or folder with its files")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="avatar folder to write")

    verb = verbs.add_parser("inspect", help="say what motion clips and avatars hold")
    verb.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="motion file, avatar folder or zip, .glb, .ply or .spz"
    )
    _add_choose(verb)

    verb = verbs.add_parser("publish", help="put an avatar on the Hugging Face Hub")
    verb.add_argument("avatar", type=Path, metavar="DIR", help="avatar folder")
    verb.add_argument(
        "--to", required=True, metavar="NAME", help="data set: owner/name, or a name in your account; made when new"
    )
    verb.add_argument("--private", action="store_true", help="the data set is for you alone (default: for everybody)")
    verb.add_argument(
        "--licence", metavar="L", help="cc-by-4.0 (the default), cc0-1.0, cc-by-sa-4.0, cc-by-nc-4.0 or other"
    )
    verb.add_argument("--pull-request", action="store_true", help="open a pull request instead of committing")

    verb = verbs.add_parser("evaluate", help="measure avatars and write a report")
    verb.add_argument("avatars", type=Path, nargs="+", metavar="DIR", help="avatar folder; several are compared")
    verb.add_argument("--motion", type=Path, nargs="+", required=True, metavar="FILE", help="the files of one clip")
    _add_choose(verb)
    verb.add_argument(
        "--out", type=Path, default=Path("evaluation"), metavar="DIR", help="report folder (default evaluation)"
    )
    verb.add_argument("--size", type=int, default=512, metavar="N", help="pixels of the pictures' sides (default 512)")
    verb.add_argument(
        "--clip",
        nargs="+",
        metavar="MODEL",
        help="CLIP models for the CLIP score: folders, or ids in the Hub's cache (default: OpenAI's found there)",
    )

    verbs.add_parser("doctor", help="say what works on this machine, what does not, and how to get it")
    return parser


def _add_portrait(verb: argparse.ArgumentParser) -> None:
    """What `create` may start from instead of its own prior; None where it was not given."""
    start = verb.add_argument_group("start from a static portrait", "rigged in minutes on a GPU, kept in a run folder")
    start.add_argument(
        "--portrait", type=Path, metavar="FILE", help="tri-grid of Portrait3D (.pth), or an avatar folder to rig anew"
    )
    start.add_argument(
        "--decoder", type=Path, metavar="FILE", help="that draws the tri-grid (default: found beside it)"
    )
    start.add_argument(
        "--prior", choices=("procedural", "portrait3d"), help="what makes the start of the PROMPT (default procedural)"
    )
    start.add_argument("--views", choices=VIEWS, help="how thoroughly it is rigged (default: as the device allows)")
    start.add_argument("--landmarks", metavar="M", help="face mesh that finds landmarks: an .onnx file, or owner/name")
    start.add_argument("--normals", metavar="M", help="Marigold that sees normals, to sharpen the surface: likewise")
    start.add_argument("--parser", metavar="M", help="model that tells hair from skin: owner/name, or a folder")


def _add_refinement(verb: argparse.ArgumentParser) -> None:
    """What refines; None where it was not given."""
    runs = verb.add_argument_group("refine with a diffusion model", "hours of work on a GPU, kept in a run folder")
    runs.add_argument("--refine", action="store_true", help="refine the head with Stable Diffusion and a ControlNet")
    runs.add_argument("--recipe", metavar="R", help="animportrait3d (the default) or headstudio")
    runs.add_argument("--steps-scale", type=float, metavar="X", help="so many times the published steps (default 1)")
    runs.add_argument("--resolution", type=int, metavar="N", help="pixels that the diffusion model sees (default 512)")
    runs.add_argument("--model", metavar="M", help="Stable Diffusion 1.5 or its kin: owner/name, or a folder")
    runs.add_argument("--controlnet", metavar="C", help="its ControlNet: owner/name, or a folder")
    runs.add_argument(
        "--dtype", choices=("auto", "float32", "float16", "bfloat16"), help="of the diffusion model (default auto)"
    )


def _add_run(verb: argparse.ArgumentParser) -> None:
    """What every long piece of work takes; None where it was not given."""
    runs = verb.add_argument_group("long work", "of a portrait or a refinement: goes on after an interruption")
    runs.add_argument("--device", choices=("auto", "cpu", "cuda"), help="auto (the default): a GPU where there is one")
    runs.add_argument("--threads", type=int, metavar="N", help="of the CPU (default: as many as there are cores)")
    runs.add_argument("--checkpoint-every", type=int, metavar="N", help="steps between two checkpoints (default 50)")
    runs.add_argument("--run", type=Path, metavar="DIR", help="folder for the run (default: a new one in runs/)")
    runs.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in that folder; needs no PROMPT")
    runs.add_argument(
        "--mirror", type=Path, metavar="DIR", help="copy each checkpoint there too, and bring the run from there"
    )


def _add_choose(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--choose",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="sets right what was assumed of a motion file, e.g. fps=30; may be repeated; inspect lists the choices",
    )


def is_about_runs(options: argparse.Namespace) -> bool:
    """Whether ``create`` was asked for more than the prior's head. Raises `UserError` for options that do not agree."""
    if options.resume is not None:
        _check_resume(options)
        return True
    has_portrait, is_text = options.portrait is not None, options.prior == "portrait3d"
    if options.prompt is None and not has_portrait:
        raise UserError("PROMPT is missing; say who it should be, or name a run to go on with after --resume")
    if has_portrait and options.prior is not None:
        raise UserError("--portrait is a start of its own; leave --prior out")
    if (has_portrait or is_text) and options.set:
        raise UserError("--set changes what the procedural prior makes; leave it out, or start without a portrait")
    rigs, is_run = has_portrait or is_text, has_portrait or is_text or options.refine
    _check_belongs(options, ("decoder",), has_portrait, "--portrait")
    _check_belongs(options, OF_REFINING, options.refine, "--refine")
    _check_belongs(options, OF_DIFFUSION, options.refine or is_text, "--refine")
    _check_belongs(options, OF_RIGGING, rigs, "--portrait or --prior portrait3d")
    _check_belongs(options, OF_RUNS, is_run, "--refine or --portrait")
    if options.out is None and not options.refine:
        raise UserError("--out is missing; name the avatar folder to write")
    return is_run


def _check_resume(options: argparse.Namespace) -> None:
    decided = ("prompt", "head", "seed", "portrait", "decoder", "prior", *OF_REFINING, *OF_DIFFUSION, *OF_RIGGING)
    others = [name for name in (*decided, *OF_RUNS) if getattr(options, name) is not None]
    if set(others) - {"mirror"} or options.set or options.refine:
        raise UserError("--resume goes on with a run as it was started; give it alone, or with --out or --mirror")


def _check_belongs(options: argparse.Namespace, names: Sequence[str], is_there: bool, to: str) -> None:
    given = [name for name in names if getattr(options, name) is not None]
    if given and not is_there:
        raise UserError(f"--{given[0].replace('_', '-')} belongs to {to}; give that too")
