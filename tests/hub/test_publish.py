"""Publishing to a real server that speaks the Hub's protocol."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from huggingface_hub import constants

from pipeline.__main__ import main
from pipeline.avatar_folder import load_avatar_folder
from pipeline.errors import UserError
from pipeline.hub.errors import Cancelled, HubError
from pipeline.hub.publish import publish
from tests.hub.faults import Fault
from tests.hub.folders import PROMPT, write_free, write_licensed

HEADS = "ann/my-heads"


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    return write_free(tmp_path_factory.mktemp("free") / "avatar")


@pytest.fixture
def ann(hub):
    return hub.log_in("ann")


def files_of(hub, repo_id=HEADS):
    folder = hub.root / "datasets" / repo_id / "files"
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_an_avatar_comes_whole_and_loads_again(hub, ann, free):
    steps = []
    done = publish(free, HEADS, token=ann, progress=lambda *step: steps.append(step))
    assert done.changed
    assert done.url == f"{hub.url}/datasets/{HEADS}/tree/main/{done.path}"
    assert done.path.startswith("avatars/an-old-man-with-a-grey-beard-")
    there = files_of(hub)
    names = ["avatar.glb", "config.json", "diffusion_pytorch_model.safetensors", "preview.png", "prompt.txt"]
    assert sorted(there) == sorted(["README.md", *(f"{done.path}/{name}" for name in [*names, "recipe.json"])])
    for name in names:
        assert there[f"{done.path}/{name}"].read_bytes() == (free / name).read_bytes()
    assert load_avatar_folder(there["README.md"].parent / done.path).num_parameters()
    total = sum((free / name).stat().st_size for name in [*names, "recipe.json"])
    assert steps[0][0] < steps[-1][0] == steps[-1][1] == total
    assert [step[0] for step in steps] == sorted(step[0] for step in steps)
    assert not hub.repository("datasets", HEADS).private


def test_the_instructions_of_the_card_work(hub, ann, free, monkeypatch):
    publish(free, HEADS, token=ann)
    card = files_of(hub)["README.md"].read_text()
    snippet = card.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert names["avatar"].num_parameters() == load_avatar_folder(free).num_parameters()


def test_pressed_twice_it_is_published_once(hub, ann, free):
    first = publish(free, HEADS, token=ann)
    commits = len(hub.repository("datasets", HEADS).commits)
    second = publish(free, HEADS, token=ann)
    assert (second.url, second.changed) == (first.url, False)
    assert len(hub.repository("datasets", HEADS).commits) == commits
    assert len(hub.asked("/commit/")) == 1


def test_pressed_twice_at_once_it_is_published_once(hub, ann, free):
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: publish(free, HEADS, token=ann), range(3)))
    assert len({one.url for one in done}) == 1
    assert sorted(one.changed for one in done) == [False, False, True]
    assert len(hub.asked("/commit/")) == 1


def test_who_commits_meanwhile_loses_nothing(hub, ann, free, tmp_path):
    publish(free, HEADS, token=ann)
    other = write_free(tmp_path / "other", "a young woman")

    def disturb(done, total):
        if not disturbed.is_set():
            disturbed.set()
            hub.write("datasets", HEADS, {"notes.txt": b"mine"})

    disturbed = threading.Event()
    publish(other, HEADS, token=ann, progress=disturb)
    there = files_of(hub)
    assert there["notes.txt"].read_bytes() == b"mine"
    assert there["README.md"].read_text().count("/preview.png)") == 2
    assert [line.method for line in hub.asked("/commit/")] == ["POST"] * 3


def test_a_name_alone_is_in_the_account_of_the_login(hub, ann, free):
    assert publish(free, "my-heads", token=ann).repo_id == HEADS
    assert not publish(free, HEADS, token=ann).changed


def test_another_licence_changes_the_card_alone(hub, ann, free):
    first = publish(free, HEADS, token=ann)
    sent = len(hub.asked("/upload/"))
    second = publish(free, HEADS, token=ann, licence="cc0-1.0")
    assert second.changed
    assert second.url == first.url
    assert len(hub.asked("/upload/")) == sent
    assert "license: cc0-1.0\n" in files_of(hub)["README.md"].read_text()


def test_a_pull_request_is_opened_once_and_main_stays(hub, ann, free):
    before = hub.write("datasets", HEADS, {"README.md": b"# Mine\n"})
    ben = hub.log_in("ben")
    first = publish(free, HEADS, token=ben, as_pull_request=True)
    assert first.url == f"{hub.url}/datasets/{HEADS}/discussions/1"
    assert not publish(free, HEADS, token=ben, as_pull_request=True).changed
    changed = publish(free, HEADS, token=ben, as_pull_request=True, licence="cc0-1.0")
    assert (changed.url, changed.changed) == (first.url, True)
    repository = hub.repository("datasets", HEADS)
    assert repository.branches["main"] == before
    assert [pull.num for pull in repository.pull_requests] == [1]
    proposed = repository.commit_at("refs/pr/1")
    assert f"{first.path}/config.json" in proposed.files


def test_a_new_data_set_can_be_private(hub, ann, free):
    publish(free, HEADS, token=ann, private=True)
    assert hub.repository("datasets", HEADS).private
    publish(free, HEADS, token=ann, private=True)
    with pytest.raises(HubError, match="ann/my-heads is private and was asked for as public"):
        publish(free, HEADS, token=ann)
    hub.repository("datasets", HEADS).private = False
    with pytest.raises(HubError, match="is public and was asked for as private; choose public, or another name"):
        publish(free, HEADS, token=ann, private=True)


def test_of_a_licensed_head_no_glb_is_sent(hub, ann, tmp_path):
    folder = write_licensed(tmp_path / "avatar")
    (folder / "avatar.glb").write_bytes(b"glTF the model's shape")
    done = publish(folder, HEADS, token=ann)
    there = files_of(hub)
    assert not any(name.endswith(".glb") for name in there)
    assert f"{done.path}/diffusion_pytorch_model.safetensors" in there
    assert "license: cc-by-nc-4.0\n" in there["README.md"].read_text()
    assert "| FLAME 2023 | cc-by-nc-4.0 |" in there["README.md"].read_text()


@pytest.mark.parametrize(
    ("repo_id", "sentence"),
    [
        ("", "'' cannot be called so; give a name of letters, digits"),
        ("a/b/c", "cannot be called so"),
        ("..", "cannot be called so"),
        ("ann/..", "cannot be called so"),
        ("ann/my heads", "cannot be called so"),
        ("ann/" + "x" * 100, "cannot be called so"),
    ],
)
def test_a_name_that_cannot_be_is_not_asked_for(hub, ann, free, repo_id, sentence):
    with pytest.raises(UserError, match=sentence):
        publish(free, repo_id, token=ann)
    assert not hub.requests


def test_who_may_not_write_is_told_why(hub, ann, free):
    hub.write("datasets", "ben/heads", {"README.md": b"# Ben's\n"})
    with pytest.raises(HubError, match="nobody is logged in to the Hub; log in with: hf auth login"):
        publish(free, HEADS, token=None)
    with pytest.raises(HubError, match="does not know this login any more; log in again"):
        publish(free, HEADS, token="hf_wrong")
    with pytest.raises(HubError, match="this login may only read; make a token that may write"):
        publish(free, HEADS, token=hub.log_in("ann", may_write=False))
    for taken in ("ben/heads", "ben/new"):
        with pytest.raises(HubError, match=r"ben is not you but somebody else \(ann is logged in\); publish to ann/"):
            publish(free, taken, token=ann)
    assert not hub.asked("/commit/")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("*/preupload/*", status=429, retry_after=40), "again in 40 s"),
        (Fault("*/commit/*", status=500), "a fault of its own .500."),
        (Fault("/upload/*", status=503), "storage did not take a file for ann/my-heads .503."),
        (Fault("*/commit/*", status=403, message="Private repository storage limit reached"), "no more room for ann/"),
        (Fault("*/preupload/*", status=200, message="a page to log in"), "answer about ann/my-heads cannot be underst"),
        (Fault("/api/repos/create", status=402, message="Payment required"), "no more room for ann/"),
    ],
)
def test_a_refusal_is_a_sentence_and_nothing_is_published(hub, ann, free, fault, sentence):
    hub.faults.append(fault)
    with pytest.raises(HubError, match=sentence):
        publish(free, HEADS, token=ann)
    assert not any(name != "README.md" for name in files_of(hub))
    hub.faults.clear()
    assert publish(free, HEADS, token=ann).changed


def test_it_can_be_called_off_while_the_hub_is_silent(hub, ann, free):
    hub.faults.append(Fault("/upload/*", wait=30))
    pressed = threading.Event()

    def press(done, total):
        pressed.set()

    with pytest.raises(Cancelled, match="called off; nothing was published in ann/my-heads"):
        publish(free, HEADS, token=ann, progress=press, cancel=pressed.is_set)
    assert not hub.asked("/commit/")
    assert not files_of(hub)


def test_a_hub_that_is_silent_has_a_deadline(hub, ann, free, monkeypatch):
    monkeypatch.setattr("pipeline.hub.upload.WRITING", _quick())
    hub.faults.append(Fault("/api/datasets/*", wait=30))
    with pytest.raises(HubError, match="did not answer in time"):
        publish(free, HEADS, token=ann)


def _quick():
    from pipeline.hub.line import Deadlines

    return Deadlines(answer=0.3, silence=0.3)


def test_offline_and_out_of_reach(hub, ann, free, monkeypatch):
    with pytest.raises(HubError, match="cannot be reached for ann/my-heads"):
        publish(free, HEADS, token=ann, endpoint="http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE=1 forbids it"):
        publish(free, HEADS, token=ann)


def test_the_token_goes_to_the_hub_alone_and_into_no_sentence(hub, free, caplog, capfd):
    token = hub.log_in("ann")
    publish(free, HEADS, token=token)
    sent = hub.asked("/upload/", "PUT")
    assert len(sent) == 3
    assert {line.user for line in sent} == {None}
    assert {line.user for line in hub.requests if line not in sent} == {"ann"}
    assert token not in caplog.text + "".join(capfd.readouterr())


def test_the_prompt_is_no_markup_in_the_card(hub, ann, free):
    publish(free, HEADS, token=ann)
    card = files_of(hub)["README.md"].read_text()
    assert PROMPT not in card
    assert "an old man &#124; with a &#42;grey&#42; beard" in card


def test_the_command_line_publishes_with_the_machines_login(hub, free, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", hub.log_in("ann"))
    asked = ["publish", str(free), "--to", "my-heads", "--private", "--licence", "cc0-1.0"]
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith(f"published {hub.url}/datasets/{HEADS}/tree/main/avatars/an-old-man")
    assert hub.repository("datasets", HEADS).private
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith("it was there already: ")
    assert main(["publish", str(free), "--to", "my-heads", "--licence", "mit"]) == 2
    assert "the licence 'mit' cannot be given to this avatar; take cc-by-4.0 or" in capsys.readouterr().err
    assert main([*asked[:4], "--private", "--pull-request", "--licence", "other"]) == 0
    assert capsys.readouterr().out == f"published {hub.url}/datasets/{HEADS}/discussions/1\n"
