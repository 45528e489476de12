"""The viewer in a real browser: loading, drawing, and what happens when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from pipeline.avatar import SplatAvatar
from pipeline.formats.glb import read_avatar_glb
from pipeline.motion.retarget import Retargeted
from tests.browser.views import SPHERE, open_page, open_viewer, pixels, same
from tests.synthetic import synthetic_rig


def test_page_shows_the_avatar(page: Page, site: str) -> None:
    open_page(page, site)
    info = page.evaluate("viewer.info()")
    assert info["splats"] == 9000
    assert info["expressions"] == list(synthetic_rig().expression_names)
    picture = pixels(page)
    middle, corner = picture[120:180, 180:260, :3], picture[5, 5, :3]
    assert np.abs(middle.astype(int) - corner).mean() > 10


def test_head_is_there_after_the_first_chunk(page: Page, site: str) -> None:
    page.add_init_script(
        """const real = window.fetch;
        window.fetch = async (url, options) => {
          const whole = new Uint8Array(await (await real(url, options)).arrayBuffer());
          const cut = Math.round(whole.length * 0.6);
          const rest = new Promise((resolve) => { window.sendRest = resolve; });
          return new Response(new ReadableStream({async start(stream) {
            stream.enqueue(whole.subarray(0, 7));
            stream.enqueue(whole.subarray(7, cut));
            await rest;
            for (let i = cut; i < whole.length; i += 999) stream.enqueue(whole.subarray(i, i + 999));
            stream.close();
          }}));
        };"""
    )
    page.goto(f"{site}/web/index.html?avatar={SPHERE}&panel=0")
    page.wait_for_function("window.viewer && viewer.info().splats > 0")
    expect(page.get_by_role("progressbar")).to_be_visible()
    early = pixels(page)
    assert 2000 < page.evaluate("viewer.info().splats") < 8000
    page.evaluate("sendRest()")
    page.wait_for_function("viewer.info().complete")
    expect(page.get_by_role("progressbar")).to_be_hidden()
    late = pixels(page)
    background = np.abs(late[:, :, :3].astype(int) - late[2, 2, :3]).max(2) < 3
    covered = np.abs(early[:, :, :3].astype(int) - early[2, 2, :3]).max(2) > 2
    assert covered[~background].mean() > 0.9
    assert covered[background].mean() < 0.2


def test_python_and_javascript_read_the_same_numbers(page: Page, site: str, files: Path) -> None:
    page.goto(f"{site}/files/blank.html")
    read = page.evaluate(
        """async (url) => {
          const [{streamGlb}, {Rig}, {SplatStore}] = await Promise.all(
            ['glb', 'rig', 'chunks'].map((name) => import(`/web/${name}.js`)));
          let document;
          await streamGlb(url, {onDocument: (d) => { document = d; }, onView() {}});
          const extension = document.json.extensions.AP3D_splat_rig;
          const rig = new Rig(document, extension);
          const store = new SplatStore(document, extension, rig.faceCount);
          extension.chunks.forEach((chunk) => store.append(chunk));
          rig.readTargets(document);
          rig.expression.set([0.3, 0, 0.8, 1]);
          rig.rotations.set([0.1, -0.2, 0.3], 3 * rig.jointIndex('neck02'));
          rig.rotations.set([0.4, 0.1, -0.2], 3 * rig.jointIndex('head'));
          rig.pose();
          return {faces: [...store.faces], means: [...store.means], vertices: [...rig.vertices], names: rig.jointNames};
        }""",
        SPHERE,
    )
    avatar: SplatAvatar = read_avatar_glb(files / "sphere.glb")
    assert read["faces"] == avatar.face.tolist()
    np.testing.assert_allclose(np.reshape(read["means"], (-1, 3)), avatar.means.detach(), atol=1e-6)
    rig = avatar.rig
    rotations = torch.zeros(1, 7, 3)
    rotations[0, rig.joint_index("neck02")] = torch.tensor([0.1, -0.2, 0.3])
    rotations[0, rig.joint_index("head")] = torch.tensor([0.4, 0.1, -0.2])
    posed = rig.pose(torch.tensor([[0.3, 0, 0.8, 1]]), rotations)[0]
    np.testing.assert_allclose(np.reshape(read["vertices"], (-1, 3)), posed, atol=1e-6)


def test_still_head_draws_nothing(page: Page, site: str) -> None:
    open_page(page, site)
    page.wait_for_timeout(300)
    frames = page.evaluate("viewer.info().timing.frames")
    page.wait_for_timeout(400)
    assert page.evaluate("viewer.info().timing.frames") == frames


def test_lost_context_is_told_and_comes_back(page: Page, site: str) -> None:
    open_page(page, site)
    before = pixels(page)
    page.evaluate(
        """() => {
          const canvas = document.querySelector('.avatar-viewer').shadowRoot.querySelector('canvas');
          window.loss = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
          loss.loseContext();
        }"""
    )
    expect(page.get_by_role("alert")).to_contain_text("graphics card was taken away")
    page.evaluate("viewer.setExpression('jawOpen', 0.5); loss.restoreContext()")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.evaluate("viewer.setExpression('jawOpen', 0)")
    assert same(before, pixels(page))


def test_browser_without_webgl2_says_so(page: Page, site: str) -> None:
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page.goto(f"{site}/web/index.html?avatar={SPHERE}")
    expect(page.get_by_role("alert")).to_contain_text("no WebGL2")


@pytest.mark.parametrize(
    ("name", "cut", "words"),
    [
        ("missing.glb", None, "the server answered 404"),
        ("text.glb", b"this is no avatar at all, only text", "not an avatar"),
        ("short.glb", 5, "too short"),
        ("half.glb", 30_000, "ends early"),
        ("zeros.glb", -4000, "damaged"),
    ],
)
def test_a_wrong_file_is_a_sentence(page: Page, site: str, files: Path, name: str, cut: object, words: str) -> None:
    whole = (files / "sphere.glb").read_bytes()
    if isinstance(cut, bytes):
        (files / name).write_bytes(cut)
    elif isinstance(cut, int):
        (files / name).write_bytes(whole[:cut] if cut > 0 else whole[:200] + bytes(-cut) + whole[200 - cut :])
    page.goto(f"{site}/web/index.html?avatar=/files/{name}")
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_a_wrong_clip_is_a_sentence_and_the_head_stays(page: Page, site: str, files: Path, clip: Retargeted) -> None:
    (files / "cut.clip").write_bytes((files / "nod.clip").read_bytes()[:-6])
    open_page(page, site, f"avatar={SPHERE}&clip=/files/cut.clip")
    expect(page.get_by_role("alert")).to_contain_text("This clip is damaged")
    assert page.evaluate("viewer.info().splats") == 9000


def test_another_avatar_replaces_the_first(page: Page, site: str, files: Path) -> None:
    open_viewer(page, site, SPHERE)
    before = pixels(page)
    page.evaluate("viewer.load('/files/missing.glb').catch(() => {})")
    assert same(before, pixels(page))
    page.evaluate(f"(viewer.load('{SPHERE}').catch((e) => {{ window.first = e.name }}), viewer.load('{SPHERE}'))")
    assert page.evaluate("window.first") == "AbortError"
    assert same(before, pixels(page))


def test_many_viewers_come_and_go(page: Page, site: str) -> None:
    page.goto(f"{site}/files/blank.html")
    page.evaluate(
        """async (url) => {
          const {createViewer} = await import('/web/viewer.js');
          for (let i = 0; i < 20; i++) {
            const place = document.body.appendChild(document.createElement('div'));
            place.style.cssText = 'width: 64px; height: 64px';
            const viewer = window.viewer = createViewer(place, {ui: false});
            if (i < 19) viewer.dispose();
          }
          await viewer.load(url);
        }""",
        SPHERE,
    )
    assert page.locator(".avatar-viewer").count() == 1
    assert pixels(page)[:, :, :3].std() > 5


def test_posing_and_sorting_make_no_garbage(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    grown = page.evaluate(
        """async (url) => {
          const [{streamGlb}, {Rig}, {SplatStore}, {DepthSort}, {OrbitCamera}] = await Promise.all(
            ['glb', 'rig', 'chunks', 'sort', 'camera'].map((name) => import(`/web/${name}.js`)));
          let document;
          await streamGlb(url, {onDocument: (d) => { document = d; }, onView() {}});
          const extension = document.json.extensions.AP3D_splat_rig;
          const rig = new Rig(document, extension), store = new SplatStore(document, extension, rig.faceCount);
          extension.chunks.forEach((chunk) => store.append(chunk));
          rig.readTargets(document);
          const sorter = new DepthSort(store.capacity, rig.faceCount), camera = new OrbitCamera();
          const frames = (count) => {
            for (let i = 0; i < count; i++) {
              rig.expression[2] = i / count;
              rig.rotations[13] = i / count;
              camera.update(256, 256);
              rig.pose();
              sorter.run(store.order, rig.frames, store.faces, store.means, store.count, camera.view);
            }
          };
          frames(600); // compiled, as after ten seconds of play
          const before = performance.memory.usedJSHeapSize;
          frames(300);
          return performance.memory.usedJSHeapSize - before;
        }""",
        SPHERE,
    )
    assert grown < 300 * 200
