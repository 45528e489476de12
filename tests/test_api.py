"""The running app through `gradio_client`, as a program would use it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from pipeline.avatar_folder import load_avatar_folder
from pipeline.formats.ply import read_ply
from pipeline.motion import ARKIT_NAMES, load_motion
from tests.app_process import ROOT, running_app
from tests.hostile import HOSTILE
from tests.motion.making import pose_array
from ui.motions import MOTIONS


def write_tone(path: Path, seconds: float) -> None:
    """A voice of sorts: a hum that comes and goes."""
    times = np.arange(round(16000 * seconds)) / 16000
    hum = sum(np.sin(2 * np.pi * 120 * part * times) / part for part in range(1, 8))
    samples = (6000 * hum * np.sin(2 * np.pi * times) ** 2).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())


@pytest.fixture(scope="module")
def client(app):
    return Client(app.url, verbose=False)


@pytest.fixture(scope="module")
def avatar(client):
    """Id of an avatar of this client."""
    return client.predict("a bald man", 3, api_name="/create")[0]


def test_every_call_is_named_and_documented(client):
    calls = client.view_api(return_format="dict")["named_endpoints"]
    made = {"/create", "/delete", "/export", "/folder", "/gallery", "/open", "/share", "/visit"}
    runs = {"/refine", "/rig", "/rig_card", "/runs", "/stop_run", "/resume_run", "/delete_run", "/open_run"}
    assert {*calls} == made | runs | {"/animate", "/inspect", "/play", "/save"}
    for name, call in calls.items():
        assert all(parameter["parameter_name"] for parameter in call["parameters"]), name
        assert not any(value["label"].startswith("value_") for value in call["returns"]), name


def test_create_gives_the_avatar_and_what_was_understood(client):
    avatar, shown, about, glb = client.predict("a zorgly bald man in a red t-shirt", 3, api_name="/create")
    assert len(avatar) == 32
    assert Path(shown["avatar"]).read_bytes() == Path(glb).read_bytes()
    assert Path(glb).read_bytes()[:4] == b"glTF"
    assert "Not understood: zorgly." in about
    assert "bald" in about
    assert "red t-shirt" in about


def test_attributes_override_the_sentence(client):
    made = client.predict("a bald man", 3, {"hair.style": "bob", "age": 70}, api_name="/create")
    assert "bob" in made[2]
    assert "man of about 70" in made[2].lower()
    for wrong in ({"hair.style": "beehive"}, {"tail": "long"}, {"hair": {"style": "bob"}}, ["bob"]):
        with pytest.raises(AppError) as caught:
            client.predict("a bald man", 3, wrong, api_name="/create")
        assert "our side" not in str(caught.value)


def test_the_whole_folder_as_a_zip(client, avatar, tmp_path):
    zipfile.ZipFile(client.predict(avatar, api_name="/folder")).extractall(tmp_path)
    assert json.loads((tmp_path / "recipe.json").read_text())["prompt"] == "a bald man"
    assert len(load_avatar_folder(tmp_path).face) > 60_000
    assert {path.name for path in tmp_path.iterdir()} >= {"avatar.glb", "preview.png", "prompt.txt"}


@pytest.mark.parametrize(
    ("prompt", "seed", "sentence"),
    [
        ("", 0, "The prompt is empty"),
        ("   \n", 0, "The prompt is empty"),
        ("x" * 10_000, 0, "10,000 characters; it may have 1,000 at most"),
        ("qwrtz zzxy", 0, "Nothing in the prompt describes a person"),
        ("你好世界", 0, "Nothing in the prompt describes a person"),
        ("🙂🙂", 0, "Nothing in the prompt describes a person"),
        ("a man", -4, "Seed is -4; it must be between 0 and"),
        ("a man", None, "The seed is empty"),
    ],
)
def test_bad_prompts_are_one_sentence(client, prompt, seed, sentence):
    with pytest.raises(AppError, match=sentence):
        client.predict(prompt, seed, api_name="/create")


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_bad_motion_files_are_one_sentence_and_the_avatar_stays(client, avatar, name, tmp_path):
    path = HOSTILE[name](tmp_path)
    with pytest.raises(AppError) as caught:
        client.predict(avatar, files=[handle_file(path)], api_name="/play")
    assert "our side" not in str(caught.value), "a defect of ours, not the file's"
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "executed").exists()
    assert client.predict(avatar, "talk", api_name="/play")[0]["clip"]


def test_without_a_clip_the_head_rests(client, avatar):
    shown, notes, plot = client.predict(avatar, api_name="/play")
    assert shown["avatar"]
    assert shown["clip"] is None
    assert notes == plot == ""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """An expression and a pose file."""
    folder = tmp_path_factory.mktemp("pair")
    np.save(folder / "exp.npy", np.random.default_rng(0).normal(size=(9, 100)).astype(np.float32))
    np.save(folder / "pose.npy", pose_array(9))
    return [handle_file(folder / "exp.npy"), handle_file(folder / "pose.npy")]


def test_an_uploaded_pair_plays_and_says_what_is_missing(client, avatar, pair):
    shown, notes, plot = client.predict(avatar, files=pair, api_name="/play")
    assert Path(shown["clip"]).read_bytes()[:4] == b"AP3C"
    assert "FLAME" in notes
    assert "<svg" in plot


def test_what_files_hold_and_what_was_assumed(client, avatar, pair):
    found = client.predict(pair, api_name="/inspect")
    assert (found["frames"], found["fps"], found["basis"]) == (9, 25, "flame2023")
    assumed = {choice["key"]: choice for choice in found["choices"]}
    assert "25 frames per second were assumed" in assumed["fps"]["sentence"]
    assert "flame2020" in assumed["basis"]["options"]
    chosen = client.predict(pair, {"fps": "50", "basis": "flame2020"}, api_name="/inspect")
    assert (chosen["fps"], chosen["basis"]) == (50, "flame2020")


def test_edits_change_what_is_played_and_saved(client, avatar):
    edits = {"trim": [1, 3], "speed": 2, "mix": {"happy": 0.5}, "repeat": 2}
    shown, _, plot = client.predict(avatar, "talk", edits=edits, api_name="/play")
    assert f'data-seconds="{59 / 30:.4f}"' in plot
    saved, _ = client.predict(avatar, "talk", edits=edits, api_name="/save")
    clip = load_motion([Path(saved)])
    assert len(clip) == 60
    assert float(clip.expression[:, ARKIT_NAMES.index("mouthSmileLeft")].min()) >= 0.37
    assert shown["clip"]


def test_the_parts_of_a_split_clip_are_saved_together(client, avatar, pair, tmp_path):
    parts, notes = client.predict(avatar, files=pair, edits={"split": [0.2]}, format="flame", api_name="/save")
    zipfile.ZipFile(parts).extractall(tmp_path)
    assert [len(load_motion([path])) for path in sorted(tmp_path.iterdir())] == [5, 4]
    assert "25 frames per second" in notes


def test_arkit_weights_for_other_programs(client, avatar):
    saved, notes = client.predict(avatar, "talk", format="arkit", api_name="/save")
    assert len(json.loads(Path(saved).read_text())["frames"]) == len(load_motion([MOTIONS / "talk.npz"]))
    assert "head turns" in notes


def test_a_recording_moves_the_lips_and_is_heard(client, avatar, tmp_path):
    write_tone(tmp_path / "tone.wav", 1.5)
    shown, notes, _ = client.predict(avatar, speech=handle_file(tmp_path / "tone.wav"), api_name="/play")
    assert shown["clip"]
    assert Path(shown["audio"]).stat().st_size > 10_000
    assert "rough" in notes


@pytest.mark.parametrize(
    ("motion", "sentence"),
    [
        ({"clip": "talk", "text": "hello"}, "Clip and text were given"),
        ({"clip": "talk", "edits": {"sped": 2}}, "no edit 'sped'"),
        ({"clip": "talk", "edits": {"speed": 99}}, "speed is 99"),
        ({"clip": "talk", "edits": {"mix": {"bored": 1}}}, "no expression 'bored'"),
        ({"clip": "talk", "edits": [1]}, "edits are not understood"),
        ({"clip": "talk", "edits": {"repeat": 100000}}, "cannot be made"),
        ({"files": "pair", "choices": {"fps": "fast"}}, "fps is 'fast'"),
        ({"files": "pair", "choices": {"colour": "red"}}, "'colour' cannot be chosen"),
        ({"files": "pair", "choices": ["fps"]}, "choices are not understood"),
        ({"text": "hello", "language": "tlh-klingon"}, "tlh-klingon|eSpeak"),
    ],
)
def test_bad_motions_are_one_sentence(client, avatar, pair, motion, sentence):
    with pytest.raises(AppError, match=f"(?i){sentence}") as caught:
        client.predict(avatar, **{**motion, **({"files": pair} if "files" in motion else {})}, api_name="/play")
    assert len(str(caught.value).splitlines()) == 1


def test_without_files_there_is_nothing_to_inspect(client):
    with pytest.raises(AppError, match="No files were given"):
        client.predict(api_name="/inspect")


def test_a_video_of_a_clip(client, avatar):
    video, file, status = client.predict(
        avatar, "idle", edits={"trim": [0, 1]}, size=256, fps=24, background="#00b140", api_name="/animate"
    )
    assert Path(video).read_bytes()[4:8] == b"ftyp"
    assert Path(file).name == Path(video).name
    assert status.startswith("24 frames")


def test_transparent_frames_come_as_a_zip(client, avatar, tmp_path):
    np.save(tmp_path / "pose.npy", np.zeros((3, 15), np.float32))
    files = [handle_file(tmp_path / "pose.npy")]
    video, file, _ = client.predict(avatar, files=files, size=256, background="transparent", api_name="/animate")
    assert video is None
    assert len(zipfile.ZipFile(file).namelist()) >= 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"avatar_id": "0" * 32, "clip": "talk"}, "create one first"),
        ({}, "no motion is chosen"),
        ({"clip": "talk", "background": "mauvish"}, "'mauvish' is no colour"),
    ],
)
def test_bad_video_settings_are_one_sentence(client, avatar, arguments, sentence):
    with pytest.raises(AppError, match=f"(?i){sentence}"):
        client.predict(**{"avatar_id": avatar, "size": 256, **arguments}, api_name="/animate")


def test_a_pose_for_other_programs(client, avatar):
    rest = read_ply(client.predict(avatar, api_name="/export"))
    pose = json.dumps({"expression": {"jawOpen": 1}, "rotations": {"head": [0, 0.4, 0]}})
    posed = read_ply(client.predict(avatar, pose, "ply", api_name="/export"))
    assert rest.means.shape == posed.means.shape
    assert float((rest.means - posed.means).norm(dim=1).max()) > 0.02
    assert b"KHR_gaussian_splatting" in Path(client.predict(avatar, pose, "glb", api_name="/export")).read_bytes()


@pytest.mark.parametrize(
    ("pose", "kind", "sentence"),
    [
        ('{"expression": {"tailWag": 1}, "rotations": {}}', "ply", "no expression 'tailWag'"),
        ("", "../../x", "is no export format"),
    ],
)
def test_bad_exports_are_one_sentence(client, avatar, pose, kind, sentence):
    with pytest.raises(AppError, match=sentence):
        client.predict(avatar, pose, kind, api_name="/export")


def test_two_people_at_once_get_their_own(app):
    made: dict[str, tuple] = {}

    def visit(name: str, prompt: str) -> None:
        visitor = Client(app.url, verbose=False)
        created = visitor.predict(prompt, 5, api_name="/create")
        played = visitor.predict(created[0], "idle", api_name="/play")
        ply = visitor.predict(created[0], api_name="/export")
        made[name] = (created, played, len(read_ply(ply).means))

    visits = [
        threading.Thread(target=visit, args=pair) for pair in (("a", "a bald man"), ("b", "a woman with an afro"))
    ]
    for thread in visits:
        thread.start()
    for thread in visits:
        thread.join()
    (a, a_played, a_count), (b, b_played, b_count) = made["a"], made["b"]
    assert a[0] != b[0]
    assert Path(a[1]["avatar"]).read_bytes() != Path(b[1]["avatar"]).read_bytes()
    assert a_count != b_count
    for mine, played in ((a, a_played), (b, b_played)):
        assert Path(played[0]["avatar"]).read_bytes() == Path(mine[1]["avatar"]).read_bytes()


def test_killed_in_the_middle_of_an_export_no_half_video_stands(tmp_path):
    with running_app(tmp_path) as app:
        client = Client(app.url, verbose=False)
        avatar = client.predict("a bald man", 3, api_name="/create")[0]
        client.submit(avatar, "range_of_motion", size=1024, fps=60, api_name="/animate")
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("gradio/animportrait3d-*/*/.*.partial")):
            assert time.monotonic() < deadline, "the export never began"
            time.sleep(0.02)
        app.kill()
        assert not list(tmp_path.rglob("*.mp4"))
        assert subprocess.run(["pgrep", "-f", str(tmp_path)], check=False, stdout=subprocess.DEVNULL).returncode == 1, (
            "the encoder outlived the app"
        )


def test_a_file_that_nobody_uploaded_is_not_opened(app, avatar, tmp_path):
    """The client would upload a local path; a hostile one names a file of the server."""
    np.save(tmp_path / "secret.npy", np.zeros((3, 15), np.float32))
    stolen = {"path": str(tmp_path / "secret.npy"), "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [avatar, None, [stolen], None, "", "", "en", {}, {}]}).encode()
    address = f"{app.url}/gradio_api/call/play"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}") as answer:
        told = answer.read().decode()
    assert "event: error" in told
    assert "event: complete" not in told


@pytest.mark.parametrize("path", ["app.py", "viewer/component.py", "viewer/web/../component.py", "pipeline/files.py"])
def test_only_the_viewers_own_files_are_served(app, path):
    served = urllib.request.urlopen(f"{app.url}/gradio_api/file={ROOT}/viewer/web/viewer.js")
    assert served.status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{app.url}/gradio_api/file={ROOT}/{path}")
    assert refused.value.code in (403, 404)
