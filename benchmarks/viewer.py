"""The browser viewer at about 100k splats, 512 × 512; the peer draws the same cloud in the same browser.

Ours poses the rig, sorts and draws every frame; the peer, PlayCanvas, turns its camera round a cloud that stands still.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Browser, sync_playwright

from benchmarks.figure import Figure
from benchmarks.heads import head
from pipeline.formats.glb import write_avatar_glb
from pipeline.formats.ply import write_ply
from tests.browser.chromium import CHROMIUM_ARGUMENTS, chromium
from tests.browser.serving import serve

WEB = Path(__file__).parents[1] / "viewer" / "web"
PEER = "playcanvas@2.23.3"
SIZE = 512
FRAMES = 24
SETUP = """
const finish = (canvas) => canvas.getContext('webgl2').readPixels(0, 0, 1, 1, 6408, 5121, new Uint8Array(4));
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const place = document.body.appendChild(document.createElement('div'));
document.body.style.margin = 0;
"""
OURS = """async ([url, size, frames]) => {
  SETUP
  place.style.cssText = `width: ${size}px; height: ${size}px`;
  const {createViewer} = await import('/web/viewer.js');
  const viewer = createViewer(place, {ui: false});
  await viewer.load(url);
  const canvas = place.firstChild.shadowRoot.querySelector('canvas');
  const total = ({pose, upload, sort, draw}) => pose + upload + sort + draw;
  const script = [], whole = [];
  for (let i = 0; i < 3 * frames; i++) {
    const before = total(viewer.info().timing), begun = performance.now();
    const expression = {jawOpen: i % 10 / 10, mouthSmileLeft: 0.5, eyeBlinkLeft: i % 7 / 7};
    viewer.setPose(expression, {head: [0, 0.3 * Math.sin(i), 0]});
    await new Promise(requestAnimationFrame);
    finish(canvas);
    script.push(total(viewer.info().timing) - before);
    whole.push(performance.now() - begun);
  }
  const late = (values) => median(values.slice(2 * frames));
  return {script: late(script), whole: late(whole), splats: viewer.info().splats};
}""".replace("SETUP", SETUP)
THEIRS = """async ([url, size, frames]) => {
  SETUP
  const pc = await import('/npm/playcanvas/build/playcanvas.mjs');
  const canvas = place.appendChild(document.createElement('canvas'));
  canvas.style.cssText = `width: ${size}px; height: ${size}px`;
  canvas.width = canvas.height = size;
  const app = new pc.Application(canvas, {graphicsDeviceOptions: {antialias: false}});
  app.setCanvasFillMode(pc.FILLMODE_NONE, size, size);
  app.setCanvasResolution(pc.RESOLUTION_FIXED, size, size);
  const asset = new pc.Asset('cloud', 'gsplat', {url}), loader = new pc.AssetListLoader([asset], app.assets);
  await new Promise((done, fail) => loader.load((error) => (error ? fail(error) : done())));
  const camera = new pc.Entity();
  camera.addComponent('camera', {fov: 14, nearClip: 0.1, farClip: 10});
  const cloud = new pc.Entity();
  cloud.addComponent('gsplat', {asset});
  app.root.addChild(camera);
  app.root.addChild(cloud);
  const script = [], whole = [];
  let begun = 0;
  const done = new Promise((resolve) => {
    app.on('frameupdate', () => {
      begun = performance.now();
      const turn = 0.3 * Math.sin(script.length);
      camera.setPosition(1.6 * Math.sin(turn), 0, 1.6 * Math.cos(turn));
      camera.lookAt(0, 0, 0);
    });
    app.on('frameend', () => {
      script.push(performance.now() - begun);
      finish(canvas);
      whole.push(performance.now() - begun);
      if (script.length === 3 * frames) resolve();
    });
  });
  app.start();
  await done;
  const late = (values) => median(values.slice(2 * frames));
  return {script: late(script), whole: late(whole)};
}""".replace("SETUP", SETUP)


def run() -> list[Figure]:
    """Milliseconds per frame: of JavaScript, and until the picture is finished by software graphics."""
    avatar = head("long hair")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        write_avatar_glb(avatar, folder / "avatar.glb")
        with torch.no_grad():
            write_ply(avatar.gaussians(avatar.rig.vertices), folder / "cloud.ply")
        (folder / "blank.html").write_text("<!doctype html><title>Benchmark</title><body></body>")
        subprocess.run(["npm", "install", "--silent", "--prefix", name, PEER], check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        with serve({"web": WEB, "files": folder, "npm": folder / "node_modules"}) as site:
            ours = _measure(browser, site, OURS, "/files/avatar.glb")
            theirs = _measure(browser, site, THEIRS, "/files/cloud.ply")
        browser.close()
    splats, peer = f"{ours['splats']:,} splats", f"{PEER.replace('@', ' ')}, not posed"
    return [
        Figure(f"viewer, JavaScript per posed frame, {splats}", ours["script"], "ms", 5.0, peer, theirs["script"]),
        Figure(
            f"viewer, whole posed frame on software GL, {splats}", ours["whole"], "ms", 1000.0, peer, theirs["whole"]
        ),
    ]


def _measure(browser: Browser, site: str, script: str, file: str) -> dict[str, Any]:
    page = browser.new_page(viewport={"width": SIZE, "height": SIZE})
    page.goto(f"{site}/files/blank.html")
    figures = page.evaluate(script, [file, SIZE, FRAMES])
    page.close()
    return figures
