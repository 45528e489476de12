"""The doctor tells what is there, from which file, and how to get the rest."""

from __future__ import annotations

import pytest

from pipeline import doctor
from pipeline.__main__ import main
from pipeline.errors import UserError
from pipeline.heads.model_files import MODELS_VARIABLE
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
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    found = by_name(doctor._computing())
    assert found["GPU"].detail == "NVIDIA T4"
    assert found["gsplat"].state == doctor.MISSING
    assert "nvcc" in found["gsplat"].remedy


def test_an_encoder_that_is_missing(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho ' V..... mpeg4'\n")
    program.chmod(0o755)
    monkeypatch.setattr(doctor, "ffmpeg_program", lambda: str(program))
    assert doctor._video().state == doctor.UNUSABLE
    program.write_text("#!/bin/sh\nexit 3\n")
    assert "does not run" in doctor._video().detail


def test_no_secret_is_told(monkeypatch):
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    for name in ("HF_TOKEN", "OAUTH_CLIENT_SECRET", "ANIMPORTRAIT3D_OWNER"):
        monkeypatch.setenv(name, "s3cr3t-value")
    assert "s3cr3t-value" not in doctor.as_text(doctor.report())
