"""The doctor tells what is there, from which file, and how to get the rest."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError

import gradio
import pytest

from pipeline import doctor, doctor_place
from pipeline.__main__ import main
from pipeline.errors import UserError
from pipeline.heads.model_files import MODELS_VARIABLE
from pipeline.hub.client import Hub
from pipeline.hub.repositories import REPOSITORIES
from tests.heads.models import write_flame

COLUMNS = 118


@pytest.fixture
def models_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_VARIABLE, f"{tmp_path}:{tmp_path / 'nowhere'}")
    return tmp_path


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_heads_with_file_release_and_licence(models_folder, capsys):
    write_flame(models_folder, "flame2023_open")
    (models_folder / "FLAME2020.zip").write_bytes(b"PK\x03\x04 cut")
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[0] == "heads"
    assert all(len(line) <= COLUMNS or len(line.split()) == 1 for line in lines)  # a long path stays whole
    words = " ".join(told.split())
    assert f"yes FLAME 2023 Open from {models_folder}/flame2023_Open.pkl (CC-BY-4.0)" in words
    assert "unfit FLAME 2020" in words
    assert "FLAME2020.zip is damaged or cut short; download it again" in words
    assert "no SMPL-X 2020" in words
    assert "register at https://smpl-x.is.tue.mpg.de and download SMPLX_NEUTRAL_2020.npz" in words
    assert f"unfit model folder {models_folder}/nowhere is no folder" in words


def test_without_anything_it_says_how_to_get_it(monkeypatch):
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(doctor, "languages", dict)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)

    def no_ffmpeg():
        raise UserError("ffmpeg is missing on this machine; install it with: pip install imageio-ffmpeg")

    monkeypatch.setattr(doctor, "ffmpeg_program", no_ffmpeg)
    found = by_name(doctor.report())
    assert found["Anny"].state == doctor.WORKS
    assert {found[name].state for name in ("FLAME 2023", "SMPL-X 2020", "text", "recordings", "MP4")} == {
        doctor.MISSING
    }
    assert found["text"].remedy == "apt-get install espeak-ng"
    assert found["recordings"].remedy == "pip install pocketsphinx"
    assert "pip install imageio-ffmpeg" in found["MP4"].detail
    assert MODELS_VARIABLE in found["model folder"].remedy


def test_a_device_without_its_compiler(monkeypatch):
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(doctor.torch.cuda, "get_device_name", lambda index: "NVIDIA T4")
    monkeypatch.setattr(doctor, "why_no_gpu", lambda: "gsplat's kernels need building, for which nvcc is missing")
    found = by_name(doctor._computing())
    assert found["GPU"].detail == "NVIDIA T4"
    assert found["gsplat"].state == doctor.MISSING
    assert "nvcc is missing; splats are drawn on the CPU" in found["gsplat"].detail


def test_an_encoder_that_is_missing(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho ' V..... mpeg4'\n")
    program.chmod(0o755)
    monkeypatch.setattr(doctor, "ffmpeg_program", lambda: str(program))
    assert doctor._video().state == doctor.UNUSABLE
    program.write_text("#!/bin/sh\nexit 3\n")
    assert "does not run" in doctor._video().detail


@pytest.mark.parametrize("name", ["HF_TOKEN", "OAUTH_CLIENT_SECRET", "ANIMPORTRAIT3D_OWNER"])
def test_no_secret_is_told(monkeypatch, name):
    monkeypatch.setenv(name, "s3cr3t-value")
    assert "s3cr3t-value" not in doctor.as_text(doctor.report())


def test_a_token_is_told_of_but_not_shown(monkeypatch):
    monkeypatch.setattr(doctor_place, "get_token", lambda: "hf_s3cr3t")
    assert doctor_place._login().state == doctor.WORKS
    assert "s3cr3t" not in str(doctor_place._login())
    monkeypatch.setattr(doctor_place, "get_token", lambda: None)
    assert doctor_place._login().state == doctor.MISSING
    assert "hf auth login" in doctor_place._login().remedy


def test_a_full_disk(monkeypatch, tmp_path):
    room = doctor_place._room("cache", tmp_path / "not" / "yet")
    assert room.state == doctor.WORKS
    assert re.fullmatch(r"\d+\.\d GB free", room.detail)
    assert room.where == str(tmp_path / "not" / "yet")
    monkeypatch.setattr(doctor_place.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2e8}))
    full = doctor_place._room("cache", tmp_path)
    assert (full.state, full.detail) == (doctor.UNUSABLE, "0.2 GB free")


def test_the_hub_answers(hub):
    for repository in REPOSITORIES:
        owner, name = repository.id.split("/")
        (hub.root / f"{repository.kind}s" / owner / name / "files").mkdir(parents=True)
        (hub.root / f"{repository.kind}s" / owner / name / "files" / "README.md").write_text("a gallery")
    found = by_name(doctor_place.hub(Hub(), REPOSITORIES))
    assert found["Hugging Face"].state == doctor.WORKS
    assert "of onethousand, at 9f7863f91163; CC-BY-4.0" in found["Portrait3D_gallery"].detail
    assert "pinned when first opened" in found["AnimPortrait3D_gallery"].detail


def test_offline_the_hub_is_not_asked(monkeypatch):
    found = by_name(doctor_place.hub(Hub(), REPOSITORIES))
    assert found["Hugging Face"].state == doctor.MISSING
    assert "HF_HUB_OFFLINE" in found["Hugging Face"].detail


def test_versions_are_those_that_run(monkeypatch):
    found = by_name(doctor_place.versions())
    assert found["Python"].detail == platform.python_version()
    assert found["gradio"].detail == gradio.__version__

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor_place, "version", not_installed)
    assert by_name(doctor_place.versions())["spaces"].state == doctor.MISSING


def test_portraits_tell_where_their_files_are_and_where_to_get_them(models_folder):
    found = by_name(doctor.portraits())
    assert "https://drive.google.com" in found["Portrait3D generator"].remedy
    (models_folder / "decoder.ckpt").write_bytes(b"decoder.net.0.weight torgb.affine.weight")
    assert by_name(doctor.portraits())["Portrait3D decoder"].where == str(models_folder / "decoder.ckpt")
