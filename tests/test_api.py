"""The running app through `gradio_client`, as a program would use it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from pipeline.avatar_folder import load_avatar_folder
from pipeline.formats.ply import read_ply
from tests.app_process import ROOT, running_app
from tests.hostile import HOSTILE


@pytest.fixture(scope="module")
def client(app):
    return Client(app.url, verbose=False)


@pytest.fixture(scope="module")
def avatar(client):
    """Id of an avatar of this client."""
    return client.predict("a bald man", 3, api_name="/create")[0]


def test_every_call_is_named_and_documented(client):
    calls = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(calls) == ["/animate", "/create", "/export", "/folder", "/play"]
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
        client.predict(avatar, None, [handle_file(path)], api_name="/play")
    assert "our side" not in str(caught.value), "a defect of ours, not the file's"
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "executed").exists()
    assert client.predict(avatar, "talk", None, api_name="/play")[0]["clip"]


def test_without_a_clip_the_head_rests(client, avatar):
    shown, notes = client.predict(avatar, None, None, api_name="/play")
    assert shown["avatar"]
    assert shown["clip"] is None
    assert notes == ""


def test_an_uploaded_pair_plays_and_says_what_is_missing(client, avatar, tmp_path):
    np.save(tmp_path / "exp.npy", np.random.randn(9, 100).astype(np.float32))
    np.save(tmp_path / "pose.npy", (np.random.randn(9, 15) * 0.1).astype(np.float32))
    pair = [handle_file(tmp_path / "exp.npy"), handle_file(tmp_path / "pose.npy")]
    shown, notes = client.predict(avatar, None, pair, api_name="/play")
    assert Path(shown["clip"]).read_bytes()[:4] == b"AP3C"
    assert "need a FLAME file" in notes


def test_a_video_of_a_clip(client, avatar):
    video, file, status = client.predict(avatar, "idle", None, 256, 24, "single", "#00b140", api_name="/animate")
    assert Path(video).read_bytes()[4:8] == b"ftyp"
    assert Path(file).name == Path(video).name
    assert "frames per second" in status


def test_transparent_frames_come_as_a_zip(client, avatar, tmp_path):
    np.save(tmp_path / "pose.npy", np.zeros((3, 15), np.float32))
    files = [handle_file(tmp_path / "pose.npy")]
    video, file, _ = client.predict(avatar, None, files, 256, 0, "single", "transparent", api_name="/animate")
    assert video is None
    assert len(zipfile.ZipFile(file).namelist()) >= 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("0" * 32, "talk", None, 256, 0, "single", "grey"), "create one first"),
        ((None, None, None, 256, 0, "single", "grey"), "no clip is chosen"),
        ((None, "talk", None, 256, 0, "single", "mauvish"), "'mauvish' is no colour"),
    ],
)
def test_bad_video_settings_are_one_sentence(client, avatar, arguments, sentence):
    with pytest.raises(AppError, match=f"(?i){sentence}"):
        client.predict(arguments[0] or avatar, *arguments[1:], api_name="/animate")


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
        played = visitor.predict(created[0], "idle", None, api_name="/play")
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
        client.submit(avatar, "range_of_motion", None, 1024, 60, "single", "grey", api_name="/animate")
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("animportrait3d-*/*/.*.partial")):
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
    body = json.dumps({"data": [avatar, None, [stolen]]}).encode()
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
