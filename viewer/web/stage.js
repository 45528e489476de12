// One canvas with one avatar: loading, posing, sorting and drawing, on demand. No interface of its own.

import {OrbitCamera} from './camera.js';
import {SplatStore} from './chunks.js';
import {loadClip} from './clip.js';
import {AvatarError, demand, streamGlb} from './glb.js';
import {ClipPlayer} from './player.js';
import {PoseMixer} from './pose.js';
import {Rig} from './rig.js';
import {DepthSort} from './sort.js';
import {SplatRenderer} from './splats.js';

const EXTENSION = 'AP3D_splat_rig';
const VERSION = 1;
const MOST_PIXELS_PER_CSS_PIXEL = 2;

export class Stage {
  /** `emit(event, detail)` hears ready, progress, complete, time, pause, lost and restored. */
  constructor(canvas, emit) {
    this.canvas = canvas;
    this.emit = emit;
    this.camera = new OrbitCamera();
    this.player = new ClipPlayer();
    this.background = new Float32Array([0.55, 0.57, 0.6, 1]);
    this.overlayColor = new Float32Array([0.16, 0.4, 0.62, 0.62]);
    this.overlay = false;
    this.closed = new AbortController();
    this.loading = null;
    this.rig = this.store = this.pose = this.sorter = this.extension = null;
    this.poseStale = this.orderStale = true;
    this.lost = false;
    this.visible = true;
    this.scheduled = 0;
    this.cssWidth = this.cssHeight = 0;
    this.timing = {frames: 0, pose: 0, upload: 0, sort: 0, draw: 0}; // milliseconds of JavaScript, summed
    this.tick = (now) => this.frame(now);
    this.renderer = SplatRenderer.create(canvas);
    if (this.renderer) this.watch();
  }

  watch() {
    const options = {signal: this.closed.signal};
    this.canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault(); // or it never comes back
      this.lost = true;
      this.emit('lost');
    }, options);
    this.canvas.addEventListener('webglcontextrestored', () => this.restore(), options);
    this.resizer = new ResizeObserver((entries) => this.measure(entries.at(-1)));
    this.resizer.observe(this.canvas);
    this.watcher = new IntersectionObserver((entries) => {
      this.visible = entries.at(-1).isIntersecting;
      this.invalidate();
    });
    this.watcher.observe(this.canvas);
  }

  restore() {
    this.lost = false;
    this.renderer.restore();
    if (this.rig) this.renderer.prepare(this.rig, this.store, this.extension);
    this.changed();
    this.emit('restored');
  }

  // ---- loading

  /** Show another avatar; resolves when all of it is there. A later call cancels this one. */
  async load(url) {
    if (!this.renderer) throw new AvatarError('This browser has no WebGL2, which the 3D view needs.');
    this.loading?.abort();
    const loading = this.loading = new AbortController();
    const signal = AbortSignal.any([loading.signal, this.closed.signal]);
    const load = new AvatarLoad(this);
    await streamGlb(url, {
      signal,
      onDocument: (document) => load.begin(document),
      onView: (view) => load.arrive(view),
    });
    demand(this.store?.complete, 'it has fewer splats than its header says');
    this.emit('complete', {splats: this.store.count});
  }

  /** The mesh is here: everything that depends on the avatar starts. */
  start(rig, store, extension) {
    this.player.setClip(null, rig);
    Object.assign(this, {rig, store, extension});
    this.pose = new PoseMixer(rig, extension);
    this.sorter = new DepthSort(store.capacity, rig.faceCount);
    this.camera.setHome(extension.camera);
    if (!this.lost) this.renderer.prepare(rig, store, extension);
    this.changed();
    this.emit('ready', {rig, extension});
  }

  addChunk(chunk) {
    const first = this.store.count;
    this.store.append(chunk);
    if (!this.lost) this.renderer.uploadSplats(first, chunk.count);
    this.orderStale = true;
    this.emit('progress', {loaded: this.store.count, total: this.store.capacity});
    this.invalidate();
  }

  async setClip(source, audio) {
    const clip = source && await loadClip(source, this.closed.signal);
    demand(this.rig, 'it is not loaded yet');
    this.player.setClip(clip, this.rig, audio);
    this.showClip();
    return clip;
  }

  // ---- drawing

  /** The pose has changed. */
  changed() {
    this.poseStale = true;
    this.invalidate();
  }

  /** The view has changed. */
  moved() {
    this.orderStale = true;
    this.invalidate();
  }

  showClip() {
    if (this.player.clip) this.player.sample(this.pose.baseExpression, this.pose.baseRotations);
    this.changed();
    this.emit('time', this.player.time);
  }

  invalidate() {
    if (!this.scheduled && !this.closed.signal.aborted && this.renderer) this.scheduled = requestAnimationFrame(this.tick);
  }

  frame(now) {
    this.scheduled = 0;
    if (this.player.playing) this.advance(now);
    if (this.visible && !this.lost) this.draw();
  }

  advance(now) {
    const more = this.player.advance(now);
    this.showClip();
    if (!more) this.emit('pause');
  }

  /** Bring pose and order up to date and draw, now. */
  draw() {
    const {renderer, rig, timing} = this;
    this.fit();
    this.camera.update(this.canvas.width, this.canvas.height);
    const begun = performance.now();
    let posed = begun, uploaded = begun, sorted = begun;
    if (rig) {
      if (this.poseStale) {
        this.pose.apply();
        rig.pose();
        posed = performance.now();
        renderer.uploadPose();
      }
      uploaded = sorted = performance.now();
      if ((this.poseStale || this.orderStale) && this.store.count) this.sort();
      sorted = performance.now();
    }
    renderer.draw(this.camera, this.background, this.overlay ? this.overlayColor : null);
    this.poseStale = this.orderStale = false;
    timing.frames++;
    timing.pose += posed - begun;
    timing.upload += uploaded - posed;
    timing.sort += sorted - uploaded;
    timing.draw += performance.now() - sorted;
  }

  sort() {
    const {store} = this;
    this.sorter.run(store.order, this.rig.frames, store.faces, store.means, store.count, this.camera.view);
    this.renderer.uploadOrder();
  }

  measure(entry) {
    this.cssWidth = entry.contentRect.width;
    this.cssHeight = entry.contentRect.height;
    this.moved();
  }

  /** The canvas in device pixels, at most two per CSS pixel. */
  fit() {
    const ratio = Math.min(devicePixelRatio, MOST_PIXELS_PER_CSS_PIXEL);
    const width = Math.max(1, Math.round((this.cssWidth || this.canvas.clientWidth) * ratio));
    const height = Math.max(1, Math.round((this.cssHeight || this.canvas.clientHeight) * ratio));
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.orderStale = true;
  }

  /** The present picture as a PNG blob. */
  screenshot() {
    if (this.renderer && !this.lost) this.draw();
    return new Promise((resolve, reject) => {
      this.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new AvatarError('The picture could not be saved.'))), 'image/png');
    });
  }

  dispose() {
    this.closed.abort();
    this.player.pause();
    cancelAnimationFrame(this.scheduled);
    this.resizer?.disconnect();
    this.watcher?.disconnect();
    this.renderer?.dispose();
  }
}

/** What one download has brought so far, in the order in which the stage can use it. */
class AvatarLoad {
  constructor(stage) {
    this.stage = stage;
  }

  begin(document) {
    const extension = document.json.extensions?.[EXTENSION];
    if (!extension) throw new AvatarError('This file is not an avatar: it holds no splats on a rig.');
    if (extension.version !== VERSION) throw new AvatarError(`This avatar has version ${extension.version} of the format; this viewer reads ${VERSION}.`);
    demand(Array.isArray(extension.chunks) && extension.camera?.target, 'its header is not whole');
    this.document = document;
    this.extension = extension;
    this.awaited = new Set(Rig.firstViews(document, extension));
    this.targets = null;
  }

  arrive(view) {
    if (this.awaited.delete(view) && !this.awaited.size) this.start();
    if (!this.rig) return;
    for (const chunk of this.extension.chunks) if (chunk.bufferView === view) this.stage.addChunk(chunk);
    if (this.targets.delete(view) && !this.targets.size) {
      this.rig.readTargets(this.document);
      this.stage.changed();
    }
  }

  start() {
    this.rig = new Rig(this.document, this.extension);
    this.targets = new Set(this.rig.targetViews(this.document));
    this.stage.start(this.rig, new SplatStore(this.document, this.extension, this.rig.faceCount), this.extension);
  }
}
