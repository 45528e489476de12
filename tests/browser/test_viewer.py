"""The viewer in a real browser: loading, posing, playing, looking round, and what happens when something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from pipeline.avatar import SplatAvatar
from pipeline.formats.glb import read_avatar_glb
from pipeline.motion.retarget import Retargeted
from tests.browser.views import open_viewer, pixels
from tests.synthetic import synthetic_rig
from viewer.clips import clip_payload

SPHERE = "/files/sphere.glb"


def open_page(page: Page, site: str, query: str = f"avatar={SPHERE}", width: int = 760, height: int = 320) -> None:
    """The stand-alone page, its avatar loaded."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{site}/web/index.html?{query}")
    page.wait_for_function("window.viewer && viewer.info().complete")


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and int(np.abs(a.astype(int) - b).max()) <= 1


@pytest.fixture
def clip(files: Path) -> Retargeted:
    """One second of jaw and head at 10 frames per second, also as ``/files/nod.clip``."""
    steps = torch.linspace(0, 1, 11)
    expression, rotations = torch.zeros(11, 4), torch.zeros(11, 7, 3)
    expression[:, 2] = steps
    rotations[:, 4, 0] = 0.5 * steps
    made = Retargeted(expression, rotations, ())
    (files / "nod.clip").write_bytes(clip_payload(made, synthetic_rig(), 10))
    return made


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


def test_sliders_move_the_head_and_reset(page: Page, site: str) -> None:
    open_page(page, site)
    before = pixels(page)
    page.get_by_role("slider", name="Mouth smile left").fill("1")
    smiling = pixels(page)
    assert not same(before, smiling)
    page.get_by_role("slider", name="Head turn").fill("0.3")
    assert not same(smiling, pixels(page))
    page.get_by_role("button", name="Reset head").click()
    assert same(smiling, pixels(page))
    page.get_by_role("button", name="Reset all").click()
    assert same(before, pixels(page))


def test_search_finds_sliders(page: Page, site: str) -> None:
    open_page(page, site)
    everything = page.get_by_role("slider").count()
    search = page.get_by_role("searchbox")
    search.fill("smile")
    assert page.get_by_role("slider").count() == 1
    search.fill("jaw open")
    expect(page.get_by_role("slider", name="Jaw open")).to_be_visible()
    search.fill("no such thing")
    expect(page.get_by_text("No control has that name.")).to_be_visible()
    search.fill("")
    assert page.get_by_role("slider").count() == everything


def test_every_expression_and_joint_has_a_slider(page: Page, site: str) -> None:
    open_page(page, site)
    page.get_by_role("searchbox").fill("e")
    page.get_by_role("searchbox").fill("")
    labels = page.locator(".row label").all_text_contents()
    assert {"Eye look up left", "Jaw open", "Mouth smile left"} <= set(labels)
    groups = page.locator("summary span").all_text_contents()
    assert groups == ["Head", "Neck", "Body", "Eyes", "Jaw", "Mouth", "Left eye", "Right eye"]


def test_gaze_sliders_turn_the_eyes_but_a_pose_is_final(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate("viewer.setExpression('eyeLookUpLeft', 0.5)")
    slid = pixels(page)
    page.evaluate(
        "viewer.setExpression('eyeLookUpLeft', 0); viewer.setPose({eyeLookUpLeft: 0.5}, {left_eye: [-0.2, 0, 0]})"
    )
    assert same(slid, pixels(page))


def test_pose_takes_arrays_and_names_and_refuses_others(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate("viewer.setPose({jawOpen: 1}, {head: [0, 0.4, 0]})")
    named = pixels(page)
    page.evaluate("viewer.setPose([0, 0, 1, 0], [[0,0,0],[0,0,0],[0,0,0],[0,0,0],[0,0.4,0]])")
    assert same(named, pixels(page))
    for wrong in (
        "viewer.setPose({jawShut: 1})",
        "viewer.setExpression('jawShut', 1)",
        "viewer.setJoint('Tail', 'Nod', 1)",
    ):
        assert "This avatar has no" in page.evaluate(
            f"(() => {{ try {{ {wrong} }} catch (e) {{ return e.message }} }})()"
        )


def test_clip_plays_seeks_and_stops(page: Page, site: str, clip: Retargeted) -> None:
    open_page(page, site, f"avatar={SPHERE}&clip=/files/nod.clip")
    page.wait_for_function("viewer.info().playing && viewer.info().time > 0.2")
    page.get_by_role("button", name="Pause").click()
    assert not page.evaluate("viewer.info().playing")
    page.evaluate("viewer.seek(0.5)")
    halfway = pixels(page)
    page.evaluate("viewer.setPose({jawOpen: 0.5}, {head: [0.25, 0, 0]})")
    assert same(halfway, pixels(page))
    expect(page.get_by_role("group", name="Clip")).to_be_hidden()


def test_clip_that_does_not_repeat_ends_at_its_end(page: Page, site: str, clip: Retargeted) -> None:
    open_page(page, site, f"avatar={SPHERE}&clip=/files/nod.clip")
    page.get_by_role("button", name="Repeat").click()
    page.get_by_role("combobox", name="Speed").select_option("2")
    page.wait_for_function("!viewer.info().playing && viewer.info().time === viewer.info().duration")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("viewer.info().playing || viewer.info().time === viewer.info().duration")
    page.evaluate("viewer.pause(); viewer.seek(0.5)")
    page.locator("canvas").press(".")
    assert page.evaluate("viewer.info().time") == pytest.approx(0.6)


def test_reduced_motion_waits_for_play(browser: Browser, site: str, clip: Retargeted) -> None:
    page = browser.new_page(reduced_motion="reduce")
    open_page(page, site, f"avatar={SPHERE}&clip=/files/nod.clip")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert not page.evaluate("viewer.info().playing")
    page.close()


def test_json_clip_object_plays(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate(
        "viewer.play({fps: 10, names: ['jawOpen', 'unknown'], expression: [[0, 1], [1, 1]], joints: ['head'],"
        " rotations: [[[0, 0, 0]], [[0, 0.2, 0]]]}, {paused: true}).then(() => viewer.seek(0.1))"
    )
    played = pixels(page)
    page.evaluate("viewer.setPose({jawOpen: 1}, {head: [0, 0.2, 0]})")
    assert same(played, pixels(page))


def test_drag_wheel_keys_and_reset(page: Page, site: str) -> None:
    open_page(page, site, width=300, height=300)
    home = pixels(page)
    view = page.evaluate("viewer.camera.get()")
    page.mouse.move(100, 200)
    page.mouse.down()
    page.mouse.move(150, 200, steps=3)
    page.mouse.up()
    size = min(page.locator("canvas").bounding_box()[side] for side in ("width", "height"))
    assert page.evaluate("viewer.camera.get().yaw") == pytest.approx(view["yaw"] - 50 / size * 180, abs=0.5)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"viewer.camera.get().distance < {view['distance']}")
    page.locator("canvas").press("ArrowUp")
    assert page.evaluate("viewer.camera.get().pitch") == pytest.approx(view["pitch"] + 6)
    page.locator("canvas").press("Shift+ArrowRight")
    assert page.evaluate("viewer.camera.get().target") != view["target"]
    assert not same(home, pixels(page))
    page.get_by_role("button", name="Reset the view").click()
    assert same(home, pixels(page))


def test_two_fingers_zoom(page: Page, site: str) -> None:
    open_viewer(page, site, SPHERE)
    page.evaluate(
        """() => {
          const canvas = document.querySelector('.avatar-viewer').shadowRoot.querySelector('canvas');
          canvas.setPointerCapture = () => {};
          const send = (type, pointerId, clientX) => canvas.dispatchEvent(
            new PointerEvent(type, {pointerId, clientX, clientY: 128, pointerType: 'touch', buttons: 1}));
          send('pointerdown', 1, 100);
          send('pointerdown', 2, 150);
          send('pointermove', 2, 200);
        }"""
    )
    view = page.evaluate("viewer.camera.get()")
    page.evaluate("viewer.camera.reset()")
    assert view["distance"] == pytest.approx(page.evaluate("viewer.camera.get().distance") / 2)
    assert view["yaw"] == 0


def test_mesh_background_and_picture_file(page: Page, site: str, tmp_path: Path) -> None:
    open_page(page, site)
    plain = pixels(page)
    mesh = page.get_by_role("button", name="Mesh overlay")
    mesh.click()
    assert not same(plain, pixels(page))
    assert mesh.get_attribute("aria-pressed") == "true"
    page.locator("canvas").press("m")
    assert same(plain, pixels(page))
    page.get_by_role("button", name="Background", exact=True).click()
    page.get_by_role("button", name="Green background").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save a picture").click()
    assert download.value.suggested_filename == "avatar.png"
    assert pixels(page)[2, 2].tolist() == [0x00, 0xB1, 0x40, 255]
    page.evaluate("viewer.setBackground('transparent')")
    assert pixels(page)[2, 2, 3] == 0


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


def test_controls_have_names(page: Page, site: str) -> None:
    open_page(page, site)
    nameless = page.evaluate(
        """() => [...document.querySelector('.avatar-viewer').shadowRoot
            .querySelectorAll('button, input, select, canvas')]
          .filter((node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.closest('label')))
          .map((node) => node.outerHTML)"""
    )
    assert nameless == []
    page.locator("canvas").press("?")
    expect(page.get_by_role("dialog", name="Keyboard help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_phone_layout_puts_the_controls_below(page: Page, site: str) -> None:
    open_page(page, site, width=390, height=700)
    panel = page.get_by_role("complementary")
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="Controls").click()
    box, picture = panel.bounding_box(), page.locator("canvas").bounding_box()
    assert box["y"] >= picture["y"] + picture["height"] - 1
    assert box["width"] > 380
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser: Browser, site: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    open_page(page, site)
    colors = page.evaluate(
        """() => {
          const root = document.querySelector('.avatar-viewer').shadowRoot;
          const rgb = (value) => value.match(/[\\d.]+/g).slice(0, 3).map(Number);
          const paper = rgb(getComputedStyle(root.querySelector('.viewer')).backgroundColor);
          return ['summary', '.row output', '.text', '.row label'].map(
            (name) => [paper, rgb(getComputedStyle(root.querySelector(name)).color)]);
        }"""
    )
    page.close()

    def luminance(rgb: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(rgb) / 255]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for paper, ink in colors:
        low, high = sorted((luminance(paper), luminance(ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, 1.4.3
