// Plays a clip against the clock on the wall, or against its sound where it has one; never against a count of frames.

export class ClipPlayer {
  constructor() {
    this.clip = null;
    this.audio = null;
    this.time = 0; // seconds
    this.speed = 1;
    this.loop = true;
    this.playing = false;
    this.started = null; // moment of the last advance, milliseconds
  }

  get duration() {
    return this.clip ? Math.max(0, (this.clip.frames - 1) / this.clip.fps) : 0;
  }

  /** Use `clip` on `rig`; channels that the rig does not have are left out. `audio` an HTMLAudioElement or null. */
  setClip(clip, rig, audio = null) {
    this.pause();
    this.clip = clip;
    this.audio = audio;
    this.time = 0;
    this.expressionAt = clip ? Int32Array.from(clip.expressions, (name) => rig.expressionIndex(name)) : null;
    this.jointAt = clip ? Int32Array.from(clip.joints, (name) => rig.jointIndex(name)) : null;
  }

  play() {
    if (!this.clip) return;
    if (!this.loop && this.time >= this.duration) this.seek(0);
    this.playing = true;
    this.started = null;
    if (!this.audio) return;
    this.audio.playbackRate = this.speed;
    this.audio.currentTime = this.time;
    this.audio.play().catch(() => { this.audio = null; }); // a page may not sound before its first click: play in silence
  }

  pause() {
    this.playing = false;
    this.audio?.pause();
  }

  seek(time) {
    this.time = Math.max(0, Math.min(this.duration, time));
    this.started = null;
    if (this.audio) this.audio.currentTime = this.time;
  }

  setSpeed(speed) {
    this.speed = speed;
    if (this.audio) this.audio.playbackRate = speed;
  }

  /** Move on to `now` (milliseconds); true while there is more to come. */
  advance(now) {
    if (!this.playing) return false;
    if (this.audio && !this.audio.paused) this.time = this.audio.currentTime;
    else if (this.started !== null) this.time += (now - this.started) / 1000 * this.speed;
    this.started = now;
    if (this.time < this.duration) return true;
    if (this.loop && this.duration > 0) {
      this.time %= this.duration;
      if (this.audio) this.restartAudio();
      return true;
    }
    this.time = this.duration;
    this.pause();
    return false;
  }

  restartAudio() {
    this.audio.currentTime = this.time;
    if (this.audio.paused) this.audio.play().catch(() => { this.audio = null; });
  }

  /** Linear between the two frames round the present time, into the rig's own order of channels. */
  sample(expression, rotations) {
    const {clip} = this;
    const at = Math.min(this.time * clip.fps, clip.frames - 1), first = Math.floor(at);
    const second = Math.min(first + 1, clip.frames - 1), blend = at - first;
    expression.fill(0);
    rotations.fill(0);
    const E = clip.expressions.length, J = 3 * clip.joints.length;
    for (let e = 0; e < E; e++) {
      const i = this.expressionAt[e];
      if (i >= 0) expression[i] = mix(clip.expression[first * E + e], clip.expression[second * E + e], blend);
    }
    for (let j = 0; j < J; j++) {
      const i = this.jointAt[Math.floor(j / 3)];
      if (i >= 0) rotations[3 * i + j % 3] = mix(clip.rotations[first * J + j], clip.rotations[second * J + j], blend);
    }
  }
}

function mix(a, b, t) {
  return a + (b - a) * t;
}
