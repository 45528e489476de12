// The avatar viewer: createViewer(element, options) puts it into a page and gives the calls to drive it.

import {element} from './dom.js';
import {addGestures} from './gestures.js';
import {AvatarError} from './glb.js';
import {addKeyboard} from './keyboard.js';
import {Panel} from './panel.js';
import {Stage} from './stage.js';
import {Toolbar} from './toolbar.js';
import {Transport} from './transport.js';

export {AvatarError};

const NO_WEBGL = 'This browser cannot show the 3D view: it has no WebGL2. A recent Chrome, Edge, Firefox or Safari with hardware acceleration has it.';
const LOST = 'The graphics card was taken away. The view comes back as soon as the browser returns it; if it does not, reload the page.';
const LABEL = '3D head. Drag or use the arrow keys to turn it, plus and minus to zoom, question mark for help.';

/**
 * Build a viewer inside `parent`, filling it.
 *
 * Options: `ui` (true) buttons, panel and timeline; `panel` (open where there is room) show the sliders at first;
 * `theme` 'auto' | 'light' | 'dark'; `background` CSS hex colour or 'transparent'; `hint` what to say while there is no
 * avatar yet.
 *
 * Returns an object with
 *   load(url)                       promise; resolves when the whole avatar is there
 *   setExpression(name, value)      moves the slider of an expression
 *   setJoint(control, turn, angle)  moves a joint slider, e.g. ('Head', 'Turn', 0.3), radians
 *   setPose(expression, rotations)  a final pose as Rig.pose of the pipeline takes it: arrays in the rig's order or
 *                                   {name: value} and {joint: [x, y, z]}; ends the clip, sliders add to it
 *   pose()                          the pose on screen, {expression: {name: value}, rotations: {joint: [x, y, z]}}, zeros left out
 *   play(clip, {audio})             a clip's URL or object, or nothing to go on; promise
 *   pause(), seek(seconds)
 *   camera.get(), camera.set({yaw, pitch, distance, fov, target}), camera.reset()
 *   setBackground(color), setMesh(on)
 *   screenshot()                    promise of a PNG blob
 *   on(event, listener)             ready, progress, complete, play, pause, time, error, lost, restored; gives a function that ends it
 *   info()                          names, counts and timings
 *   dispose()
 */
export function createViewer(parent, options = {}) {
  return new Viewer(parent, options).api();
}

class Viewer {
  constructor(parent, {ui = true, panel, theme = 'auto', background, hint = ''} = {}) {
    this.closed = new AbortController();
    this.listeners = new Map();
    this.canvas = element('canvas', {tabindex: 0, role: 'application', 'aria-label': LABEL});
    this.stage = new Stage(this.canvas, (event, detail) => this.hear(event, detail));
    this.build(parent, ui, theme);
    const {stage} = this;
    addGestures(this.canvas, stage.camera, () => stage.moved(), this.closed.signal);
    addKeyboard(this.root, stage.camera, this.actions, this.closed.signal);
    if (background) this.setBackground(background);
    this.showPanel(ui && (panel ?? parent.clientWidth >= 720));
    this.say(stage.renderer ? hint : NO_WEBGL);
  }

  build(parent, ui, theme) {
    this.actions = {
      moved: () => this.stage.moved(),
      home: () => { this.stage.camera.reset(); this.stage.moved(); },
      mesh: () => this.setMesh(!this.stage.overlay),
      background: (color) => this.setBackground(color),
      screenshot: () => this.saveScreenshot(),
      full: () => this.toggleFullScreen(),
      panel: () => this.showPanel(this.panel.root.hidden),
      help: () => this.toolbar.showHelp(),
      toggle: () => (this.stage.player.playing ? this.pause() : this.play()),
      step: (frames) => this.step(frames),
    };
    this.panel = new Panel(() => this.stage.changed());
    this.toolbar = new Toolbar(this.actions);
    this.transport = new Transport(this.stage.player, this.actions.toggle, (time) => this.seek(time));
    this.bar = element('div', {class: 'progress', role: 'progressbar', 'aria-label': 'Loading the avatar', 'aria-valuemin': 0, 'aria-valuemax': 100, hidden: true});
    this.message = element('p', {class: 'message', role: 'alert', hidden: true});
    const over = ui ? [this.toolbar.root, this.toolbar.swatches, this.transport.root, this.toolbar.help] : [];
    const picture = element('div', {class: 'stage'}, this.canvas, this.bar, this.message, ...over);
    this.root = element('div', {class: ui ? 'viewer' : 'viewer bare'}, picture, ...(ui ? [this.panel.root] : []));
    this.host = element('div', {class: 'avatar-viewer', style: 'height: 100%'});
    const style = element('link', {rel: 'stylesheet', href: new URL('viewer.css', import.meta.url).href});
    this.root.style.visibility = 'hidden'; // until the style is there, nothing has its size
    this.styled = new Promise((resolve) => { style.onload = style.onerror = resolve; })
      .then(() => { this.root.style.visibility = ''; });
    this.host.attachShadow({mode: 'open'}).append(style, this.root);
    parent.append(this.host);
    this.followTheme(theme);
  }

  followTheme(theme) {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const apply = () => { this.root.dataset.theme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme; };
    dark.addEventListener('change', apply, {signal: this.closed.signal});
    apply();
  }

  api() {
    const bound = (name) => (...values) => this[name](...values);
    const names = ['load', 'setExpression', 'setJoint', 'setPose', 'pose', 'play', 'pause', 'seek', 'setBackground', 'setMesh', 'screenshot', 'on', 'info', 'dispose'];
    const {camera} = this.stage;
    return {
      ...Object.fromEntries(names.map((name) => [name, bound(name)])),
      camera: {
        get: () => camera.get(),
        set: (view) => { camera.set(view); this.stage.moved(); },
        reset: this.actions.home,
      },
    };
  }

  // ---- what the page can ask for

  async load(url) {
    this.say('');
    this.progress(0);
    try {
      await Promise.all([this.stage.load(url), this.styled]);
    } catch (error) {
      if (error.name !== 'AbortError') this.fail(error);
      throw error;
    } finally {
      this.progress(1);
    }
  }

  setExpression(name, value) {
    if (!this.panel.set(`expression-${name}`, value)) throw new RangeError(`This avatar has no expression named ${name}.`);
  }

  setJoint(control, turn, angle) {
    if (!this.panel.set(`joint-${control}-${turn}`, angle)) throw new RangeError(`This avatar has no control ${control} ${turn}.`);
  }

  setPose(expression, rotations) {
    const {stage} = this;
    stage.player.setClip(null, stage.rig);
    stage.pose.setBase(expression, rotations);
    stage.changed();
    this.transport.refresh();
  }

  pose() {
    const {rig, pose} = this.stage;
    pose?.apply(); // a slider may have moved since the last frame
    const expression = {};
    const rotations = {};
    rig?.expressionNames.forEach((name, e) => { if (rig.expression[e]) expression[name] = rig.expression[e]; });
    rig?.jointNames.forEach((name, j) => {
      const turn = [...rig.rotations.subarray(3 * j, 3 * j + 3)];
      if (turn.some(Boolean)) rotations[name] = turn;
    });
    return {expression, rotations};
  }

  async play(clip, {audio = null, paused = false} = {}) {
    const {stage} = this;
    try {
      if (clip) await stage.setClip(clip, audio && Object.assign(new Audio(audio), {preload: 'auto'}));
    } catch (error) {
      if (error.name !== 'AbortError') this.fail(error);
      throw error;
    }
    if (!paused) stage.player.play();
    stage.invalidate();
    this.transport.refresh();
    if (stage.player.playing) this.tell('play');
  }

  pause() {
    this.stage.player.pause();
    this.transport.refresh();
    this.tell('pause');
  }

  seek(time) {
    this.stage.player.seek(time);
    this.stage.showClip();
    this.transport.refresh();
  }

  setBackground(color) {
    this.stage.background.set(premultiplied(color));
    this.root.classList.toggle('transparent', color === 'transparent');
    this.stage.invalidate();
  }

  setMesh(on) {
    this.stage.overlay = Boolean(on);
    this.toolbar.press(this.toolbar.mesh, this.stage.overlay);
    this.stage.invalidate();
  }

  screenshot() {
    return this.stage.screenshot();
  }

  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(listener);
    return () => this.listeners.get(event).delete(listener);
  }

  info() {
    const {rig, store, timing, player, canvas} = this.stage;
    return {
      expressions: rig ? [...rig.expressionNames] : [], joints: rig ? [...rig.jointNames] : [],
      splats: store?.count ?? 0, complete: store?.complete ?? false, playing: player.playing, time: player.time,
      duration: player.duration, width: canvas.width, height: canvas.height, timing: {...timing},
    };
  }

  dispose() {
    this.closed.abort();
    this.stage.dispose();
    this.host.remove();
    this.listeners.clear();
  }

  // ---- what the stage tells

  hear(event, detail) {
    if (event === 'ready') {
      this.panel.show(this.stage.pose, detail.extension);
      this.transport.refresh();
    } else if (event === 'progress') this.progress(detail.loaded / detail.total);
    else if (event === 'time') this.transport.refresh(true);
    else if (event === 'pause') this.transport.refresh();
    else if (event === 'lost') this.say(LOST);
    else if (event === 'restored') this.say('');
    this.tell(event, detail);
  }

  tell(event, detail) {
    for (const listener of this.listeners.get(event) ?? []) listener(detail);
  }

  fail(error) {
    this.say(error instanceof AvatarError ? error.message : 'The viewer met an error of its own; reload the page.');
    this.tell('error', error);
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  progress(part) {
    this.bar.hidden = part >= 1;
    this.bar.style.setProperty('--part', part);
    this.bar.setAttribute('aria-valuenow', Math.round(100 * part));
  }

  // ---- buttons and keys

  showPanel(open) {
    this.panel.root.hidden = !open;
    this.toolbar.press(this.toolbar.panel, open);
  }

  step(frames) {
    const {player} = this.stage;
    if (!player.clip) return;
    this.pause();
    this.seek(player.time + frames / player.clip.fps);
  }

  async saveScreenshot() {
    const url = URL.createObjectURL(await this.screenshot());
    element('a', {href: url, download: 'avatar.png'}).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  async toggleFullScreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.host.requestFullscreen();
  }
}

/** "#rgb", "#rrggbb", "#rrggbbaa" or "transparent" → premultiplied rgba. */
function premultiplied(color) {
  if (color === 'transparent') return [0, 0, 0, 0];
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(color);
  const digits = short ? short.slice(1).map((digit) => digit + digit).join('') : color.replace('#', '');
  if (!/^([0-9a-f]{6}|[0-9a-f]{8})$/i.test(digits)) throw new RangeError(`${color} is no colour; write it as #rrggbb.`);
  const [r, g, b, a = 1] = digits.match(/../g).map((pair) => parseInt(pair, 16) / 255);
  return [r * a, g * a, b * a, a];
}
