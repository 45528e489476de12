// The panel of sliders: one for every expression and every turn of a joint, in groups, with a search.

import {element, iconButton, readable} from './dom.js';

const DEGREES = 180 / Math.PI;
const OPEN_AT_FIRST = ['Head', 'Mouth'];

export class Panel {
  /** `changed()` is called after a slider has written to `pose`. */
  constructor(changed) {
    this.changed = changed;
    this.pose = null;
    this.rows = [];
    this.search = element('input', {type: 'search', placeholder: 'Find a control', 'aria-label': 'Find a control', oninput: () => this.filter()});
    this.groups = element('div', {class: 'groups'});
    this.nothing = element('p', {class: 'nothing', hidden: true, role: 'status'}, 'No control has that name.');
    const reset = element('button', {type: 'button', class: 'text', onclick: () => this.reset()}, 'Reset all');
    this.root = element('aside', {class: 'panel', 'aria-label': 'Face and pose controls'},
      element('div', {class: 'panel-head'}, this.search, reset), this.groups, this.nothing);
  }

  /** Build the sliders of one avatar. */
  show(pose, extension) {
    this.pose = pose;
    this.rows = [];
    const joints = (extension.controls ?? []).map((control, c) => [control.name, control.turns.map((turn, t) => new Row({
      label: turn.name, name: `${control.name} ${turn.name.toLowerCase()}`, range: turn.range, unit: DEGREES, suffix: '°',
      id: `joint-${control.name}-${turn.name}`, write: (value) => { pose.turned[c][t] = value; this.changed(); },
    }))]);
    const expressions = (extension.groups ?? []).map((group) => [group.name, group.expressions.map((e) => {
      const name = pose.rig.expressionNames[e];
      return new Row({
        label: readable(name), name: readable(name), alias: name, range: group.range, unit: 1, suffix: '',
        id: `expression-${name}`, write: (value) => { pose.slid[e] = value; this.changed(); },
      });
    })]);
    const gaze = ([name]) => /eye/i.test(name);
    const ordered = [...joints.filter((group) => !gaze(group)), ...expressions, ...joints.filter(gaze)];
    this.groups.replaceChildren(...merge(ordered).map(([name, rows]) => this.group(name, rows)));
    this.filter();
  }

  group(name, rows) {
    this.rows.push(...rows);
    const reset = iconButton('reset', `Reset ${name.toLowerCase()}`, (event) => {
      event.preventDefault(); // the click would fold the group
      rows.forEach((row) => row.set(0));
    });
    const summary = element('summary', {}, element('span', {}, name), reset);
    const details = element('details', {open: OPEN_AT_FIRST.includes(name)}, summary, ...rows.map((row) => row.root));
    details.rows = rows;
    details.unfolded = details.open;
    return details;
  }

  /** Move the slider of an expression or of a turn, as a person would. False when there is none. */
  set(id, value) {
    const row = this.rows.find((candidate) => candidate.id === id);
    row?.set(value);
    return Boolean(row);
  }

  reset() {
    this.rows.forEach((row) => row.set(0));
  }

  filter() {
    const wanted = this.search.value.trim().toLowerCase();
    let found = 0;
    for (const details of this.groups.children) {
      let here = 0;
      for (const row of details.rows) {
        const match = !wanted || row.search.includes(wanted);
        row.root.hidden = !match;
        here += match;
      }
      details.hidden = here === 0;
      if (wanted && !this.searching) details.unfolded = details.open;
      details.open = wanted ? true : (this.searching ? details.unfolded : details.open);
      found += here;
    }
    this.searching = Boolean(wanted);
    this.nothing.hidden = found > 0 || !this.rows.length;
  }
}

/** One slider with its name, its value and a way back to zero (double click). */
class Row {
  constructor({label, name, alias = '', range, unit, suffix, id, write}) {
    Object.assign(this, {search: `${name} ${alias}`.toLowerCase(), unit, suffix, id, write});
    const [low, high] = range;
    this.input = element('input', {
      type: 'range', id, 'aria-label': name, min: low, max: high, step: (high - low) / 200, value: 0,
      oninput: () => this.changed(), ondblclick: () => this.set(0),
    });
    this.output = element('output', {});
    this.root = element('div', {class: 'row'}, element('label', {for: id}, label), this.output, this.input);
    this.show();
  }

  set(value) {
    this.input.value = value;
    this.changed();
  }

  changed() {
    this.show();
    this.write(Number(this.input.value));
  }

  show() {
    const {value, min, max} = this.input;
    const shown = Number(value) * this.unit;
    const text = (this.unit === 1 ? shown.toFixed(2) : shown.toFixed(0).replace('-0', '0')) + this.suffix;
    this.output.textContent = text;
    this.input.setAttribute('aria-valuetext', text);
    this.root.style.setProperty('--low', `${at(Math.min(0, value), min, max)}%`);
    this.root.style.setProperty('--high', `${at(Math.max(0, value), min, max)}%`);
    this.root.classList.toggle('moved', Math.abs(shown) > 1e-6);
  }
}

function at(value, min, max) {
  return (value - min) / (max - min) * 100;
}

/** Groups of one name become one: the gaze of both eyes and the lids belong together. */
function merge(groups) {
  const merged = new Map();
  for (const [name, rows] of groups) merged.set(name, [...(merged.get(name) ?? []), ...rows]);
  return [...merged];
}
