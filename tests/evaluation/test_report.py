"""The report and the verb that writes it."""

import json
import re
from html.parser import HTMLParser

import pytest
import torch

from pipeline.__main__ import main
from pipeline.avatar_folder import save_avatar_folder
from pipeline.evaluation import clip_score
from pipeline.motion import Motion, write_motion
from pipeline.motion.motion import ARKIT_NAMES, still
from pipeline.recipe import Recipe
from tests.evaluation.heads import covered, sphere
from tests.evaluation.test_clip_score import write_tiny_clip

PROMPT = 'a man called <script>alert("x")</script> & "sons" with $\\frac{1}$ eyes'


@pytest.fixture(scope="module", autouse=True)
def _no_clip_of_this_machine():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_score, "MODELS", ("nobody/has-this",))
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two avatars, the second with a hole in its forehead, and a clip."""
    root = tmp_path_factory.mktemp("evaluated")
    rig = sphere(3)
    through = rig.vertices[rig.faces].mean(1)[:, :2].norm(dim=1) < 0.05
    for name, faces in (("whole", None), ("with a $hole$ <b>", ~through)):
        recipe = Recipe(PROMPT, 0, {}, {}, [], [])
        save_avatar_folder(covered(rig, faces=faces), recipe, root / name)
    weights = torch.zeros(4, len(ARKIT_NAMES))
    weights[:, ARKIT_NAMES.index("jawOpen")] = torch.linspace(0, 1, 4)
    write_motion(Motion(fps=25, basis="arkit52", expression=weights, **still(4)), root / "clip.npz")
    return root


@pytest.fixture(scope="module")
def report(folders, tmp_path_factory):
    """The folder that the command line writes for both."""
    out = tmp_path_factory.mktemp("reports") / "report"
    call = ["evaluate", str(folders / "whole"), str(folders / "with a $hole$ <b>")]
    assert main([*call, "--motion", str(folders / "clip.npz"), "--size", "64", "--out", str(out)]) == 0
    return out


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_runs_nothing_and_escapes_what_others_wrote(report):
    page = Page((report / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert PROMPT in page.text
    assert "with a $hole$ <b>" in page.text
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in page.sources)
    assert not re.search(r"url\((?!#)", (report / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("svg") >= 4
    assert "No CLIP score" in page.text


def test_the_figures_are_there_for_programs_and_the_hole_is_in_them(report):
    content = json.loads((report / "figures.json").read_text(encoding="utf-8"))
    assert (content["format"], content["clip"]) == (1, "clip.npz")
    whole, holed = content["avatars"]
    assert (whole["name"], whole["prompt"], whole["size"]) == ("whole", PROMPT, 64)
    assert whole["summary"]["hole_share_worst"] == 0
    assert holed["summary"]["hole_share_worst"] > 0.005
    assert holed["poses"][0]["hole_pixels"] == max(pose["hole_pixels"] for pose in holed["poses"][:3])
    assert len(whole["clip"]["flicker"]) == 3
    assert len(whole["clip"]["hole_share"]) == 4


def test_the_worst_pictures_come_first(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    holes = [int(number) for number in re.findall(r"<br>(\d+) px of holes \(", text)]
    assert len(holes) == 3
    assert holes == sorted(holes, reverse=True)


def test_an_older_report_is_replaced_and_a_clip_score_is_told(report, folders, tmp_path, capsys):
    out = tmp_path / "report"
    out.mkdir()
    (out / "report.html").write_text("old")
    model = write_tiny_clip(tmp_path / "tiny-clip")
    call = ["evaluate", str(folders / "whole"), "--motion", str(folders / "clip.npz"), "--size", "64"]
    assert main([*call, "--out", str(out), "--clip", str(model)]) == 0
    told = capsys.readouterr().out
    assert "CLIP score" in told
    assert f"wrote {out / 'report.html'}" in told
    score = json.loads((out / "figures.json").read_text())["avatars"][0]["clip_scores"]["tiny-clip"]
    assert -1 <= score <= 1
    assert f"{score:.3f}" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"--size": "12"}, "the size is 12"),
        ({"--motion": "nothing.npz"}, "nothing.npz"),
        ({"--clip": "nobody/has-this"}, "no CLIP model"),
        ({"avatar": "nowhere"}, "no avatar folder"),
        ({"--out": "taken"}, "holds other files"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(changes, sentence, folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("keep")
    options = {"--motion": str(folders / "clip.npz"), "--out": "report", "--size": "64"}
    avatar = changes.pop("avatar", str(folders / "whole"))
    call = ["evaluate", avatar, *(part for pair in {**options, **changes}.items() for part in pair)]
    assert main(call) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "report").exists()
    assert (tmp_path / "taken" / "letter.txt").read_text() == "keep"


def test_one_frame_cannot_flicker(folders, tmp_path, capsys):
    weights = torch.zeros(1, len(ARKIT_NAMES))
    write_motion(Motion(fps=25, basis="arkit52", expression=weights, **still(1)), tmp_path / "one.npz")
    call = ["evaluate", str(folders / "whole"), "--motion", str(tmp_path / "one.npz"), "--out", str(tmp_path / "r")]
    assert main(call) == 2
    assert "one frame" in capsys.readouterr().err
