// The bar that plays a clip: start and stop, a timeline, loop and speed.

import {element, icon, iconButton} from './dom.js';

const SPEEDS = [0.25, 0.5, 1, 1.5, 2];
const REFRESH = 80; // milliseconds between updates of the numbers, so that they make no work in every frame

export class Transport {
  /** `toggle()`, `seek(seconds)` act on the viewer; speed and loop are written to `player`. */
  constructor(player, toggle, seek) {
    this.player = player;
    this.shown = -Infinity;
    this.button = iconButton('play', 'Play', toggle);
    this.timeline = element('input', {
      type: 'range', class: 'timeline', min: 0, max: 1, step: 'any', value: 0, 'aria-label': 'Position in the clip',
      oninput: () => seek(Number(this.timeline.value)),
    });
    this.clock = element('output', {class: 'clock'});
    this.loop = iconButton('loop', 'Repeat', () => this.setLoop(!player.loop), {'aria-pressed': String(player.loop)});
    this.speed = element('select', {'aria-label': 'Speed', onchange: () => player.setSpeed(Number(this.speed.value))},
      ...SPEEDS.map((speed) => element('option', {value: speed, selected: speed === 1}, `${speed}×`)));
    this.root = element('div', {class: 'transport', role: 'group', 'aria-label': 'Clip', hidden: true},
      this.button, this.timeline, this.clock, this.loop, this.speed);
  }

  setLoop(loop) {
    this.player.loop = loop;
    this.loop.setAttribute('aria-pressed', String(loop));
  }

  /** Show the present state; `soon` when a frame more or less does not matter. */
  refresh(soon = false) {
    const now = performance.now();
    if (soon && now - this.shown < REFRESH) return;
    this.shown = now;
    const {player} = this;
    this.root.hidden = !player.clip;
    const label = player.playing ? 'Pause' : 'Play';
    if (this.button.title !== label) {
      this.button.replaceChildren(icon(player.playing ? 'pause' : 'play'));
      this.button.title = label;
      this.button.setAttribute('aria-label', label);
    }
    this.timeline.max = player.duration || 1;
    this.timeline.value = player.time;
    this.timeline.style.setProperty('--high', `${player.duration ? player.time / player.duration * 100 : 0}%`);
    const text = `${clock(player.time)} / ${clock(player.duration)}`;
    this.clock.textContent = text;
    this.timeline.setAttribute('aria-valuetext', text);
  }
}

function clock(seconds) {
  const whole = Math.floor(seconds * 10) / 10;
  return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(1).padStart(4, '0')}`;
}
