// Cards of heads: search by words, filter by source, choose by pointer or keyboard. All text goes in as text.

import {element} from '../../viewer/web/dom.js';

const ALL = 'all';
const DOUBLE_CLICK = 600; // milliseconds in which a second press means nothing

/** `props.value` is {cards, sources} as ui/cards.py writes it; `watch` as gr.HTML gives it; `events`: open, stop, use, rig, retry. */
export function mount(node, props, watch, events) {
  const place = node.querySelector('.cards-place');
  const cards = place.cards = new Cards(place, events);
  const show = () => cards.show(props.value ?? {cards: [], sources: []});
  watch('value', show);
  show();
  return cards;
}

class Cards {
  constructor(place, events) {
    this.events = events;
    this.source = ALL;
    this.busy = false;
    this.items = new Map();
    this.search = element('input', {type: 'search', placeholder: 'Search: red curls, beard, glasses …', 'aria-label': 'Search the heads by words', oninput: () => this.filter()});
    this.chips = element('div', {class: 'chips', role: 'radiogroup', 'aria-label': 'Source', onkeydown: (event) => this.moveChip(event)});
    this.status = element('div', {class: 'status', role: 'status'});
    this.grid = element('ul', {class: 'grid', 'aria-label': 'Heads', onkeydown: (event) => this.move(event)});
    this.empty = element('p', {class: 'empty', hidden: true});
    this.dialog = element('dialog', {class: 'card-dialog', onclick: (event) => { if (event.target === this.dialog) this.dialog.close(); }});
    place.append(this.search, this.chips, this.status, this.grid, this.empty, this.dialog);
  }

  show({cards, sources}) {
    const text = JSON.stringify([cards, sources]);
    if (text === this.shown) return;
    this.shown = text;
    this.sources = new Map(sources.map((source) => [source.id, source]));
    if (!this.sources.has(this.source)) this.source = ALL;
    const before = this.items;
    this.items = new Map(cards.map((card) => [card.id, this.item(card, before.get(card.id))]));
    this.replace([...this.items.values()].map(({node}) => node));
    this.showChips(cards);
    this.showStatus();
    this.filter();
    this.mark(this.current, this.busy);
  }

  /** The nodes in this order; those that are already in place are left alone, so that the focus stays where it is. */
  replace(nodes) {
    const wanted = new Set(nodes);
    [...this.grid.children].forEach((node) => wanted.has(node) || node.remove());
    nodes.forEach((node, at) => this.grid.children[at] === node || this.grid.insertBefore(node, this.grid.children[at] ?? null));
  }

  item(card, before) {
    const text = JSON.stringify([card, this.sources.get(card.source)?.title]);
    if (before?.text === text) return before;
    const origin = `${this.sources.get(card.source)?.title ?? card.source} · ${card.licence}`;
    const button = element('button', {type: 'button', class: 'card', tabindex: -1, title: card.prompt, onclick: () => this.choose(card)},
      picture(card), element('span', {class: 'prompt'}, card.prompt), element('span', {class: 'origin'}, origin));
    if (card.missing || card.still) button.append(element('span', {class: 'tag'}, card.missing ? 'Preview' : 'Portrait'));
    return {card, text, button, node: element('li', {}, button), words: `${card.prompt} ${origin}`.toLowerCase()};
  }

  // ---- which are in sight

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const {card, node, words: said} of this.items.values()) {
      const fits = (this.source === ALL || card.source === this.source) && words.every((word) => said.includes(word));
      node.hidden = !fits;
      found += fits;
    }
    this.empty.hidden = found > 0;
    if (!found) this.empty.textContent = this.reason(words);
    this.keepOneTabStop();
  }

  reason(words) {
    const source = this.sources.get(this.source);
    const any = [...this.items.values()].some(({card}) => !source || card.source === source.id);
    if (words.length && any) return `No head with “${this.search.value.trim()}”. Try fewer words, or make it under Create.`;
    return source?.empty || 'Nothing here yet.';
  }

  showChips(cards) {
    const count = (id) => cards.filter((card) => card.source === id).length;
    const all = {id: ALL, title: 'All'};
    const chips = [all, ...this.sources.values()].map(({id, title}) => element('button', {
      type: 'button', role: 'radio', class: 'chip', 'data-source': id, onclick: () => this.chooseSource(id),
    }, title, element('span', {class: 'count'}, String(id === ALL ? cards.length : count(id)))));
    const focused = this.chips.contains(document.activeElement);
    this.chips.replaceChildren(...chips);
    this.chooseSource(this.source, focused);
  }

  chooseSource(id, focus = false) {
    this.source = id;
    for (const chip of this.chips.children) {
      const on = chip.dataset.source === id;
      chip.setAttribute('aria-checked', String(on));
      chip.tabIndex = on ? 0 : -1;
      if (on && focus) chip.focus();
    }
    this.showStatus();
    this.filter();
  }

  /** What is wrong or on its way: of one source its own sentence, of all of them that there is something. */
  showStatus() {
    const sources = [...this.sources.values()].filter(({id}) => this.source === ALL || id === this.source);
    const names = (some) => some.map(({title}) => title).join(', ');
    const busy = sources.filter((source) => source.busy);
    const failed = sources.filter((source) => source.note && !source.busy);
    const lines = [];
    if (busy.length) lines.push(element('p', {class: 'waiting'}, `Loading previews: ${names(busy)} …`));
    if (failed.length) {
      const note = this.source === ALL ? `Nothing new from the Hub now: ${names(failed)}.` : failed[0].note;
      const retry = element('button', {type: 'button', class: 'retry', onclick: () => this.events.retry()}, 'Retry');
      lines.push(element('p', {}, `${note} `, retry));
    }
    this.status.replaceChildren(...lines);
  }

  // ---- choosing

  choose(card) {
    if (this.items.get(card.id).button.getAttribute('aria-busy') === 'true') {
      if (performance.now() - this.pressed > DOUBLE_CLICK) this.events.stop();
      return;
    }
    this.pressed = performance.now();
    document.galleryChoice = card.id;
    if (card.missing || card.still) {
      this.explain(card);
      return;
    }
    this.mark(card.id, true);
    this.events.open();
  }

  /** A head came onto the stage; the one that was pressed since goes on being on its way. */
  arrived(id) {
    if (!this.busy || id === this.current) this.mark(id, false);
  }

  /** Show which head is on the stage, or on its way there. */
  mark(id, busy) {
    this.current = id;
    this.busy = busy;
    for (const {card, button} of this.items.values()) {
      button.setAttribute('aria-current', String(card.id === id));
      const waits = busy && card.id === id;
      button.setAttribute('aria-busy', String(waits));
      button.title = waits ? 'On its way; press again to stop' : card.prompt;
    }
  }

  explain(card) {
    const use = () => { this.dialog.close(); this.events.use(); };
    const rig = () => { this.dialog.close(); this.mark(card.id, true); this.events.rig(); };
    const actions = [element('button', {type: 'button', onclick: use}, 'Use this prompt'), element('button', {type: 'button', onclick: () => this.dialog.close()}, 'Close')];
    if (card.still) actions.unshift(element('button', {type: 'button', onclick: rig}, 'Put it on a rig'));
    actions[0].className = 'main';
    this.dialog.setAttribute('aria-label', card.prompt);
    this.dialog.replaceChildren(picture(card),
      element('p', {class: 'prompt'}, card.prompt),
      element('p', {class: 'origin'}, `${this.sources.get(card.source)?.title ?? card.source} · ${card.licence}`),
      element('p', {class: 'missing'}, card.missing || card.still),
      element('div', {class: 'actions'}, ...actions));
    this.dialog.showModal();
  }

  // ---- keyboard: one stop for the tab key, arrows between the cards

  inSight() {
    return [...this.items.values()].filter(({node}) => !node.hidden).map(({button}) => button);
  }

  keepOneTabStop() {
    const buttons = this.inSight();
    const stop = buttons.find((button) => button.tabIndex === 0) ?? buttons[0];
    for (const {button} of this.items.values()) button.tabIndex = button === stop ? 0 : -1;
  }

  move(event) {
    const buttons = this.inSight();
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(' ').length;
    const to = {ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: buttons.length - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = buttons[Math.max(0, Math.min(buttons.length - 1, to))];
    buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  moveChip(event) {
    const step = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    const ids = [ALL, ...this.sources.keys()];
    this.chooseSource(ids[(ids.indexOf(this.source) + step + ids.length) % ids.length], true);
  }
}

function picture(card) {
  const nothing = () => element('span', {class: 'picture nothing', 'aria-hidden': 'true'}, card.prompt.trim().charAt(0).toUpperCase());
  if (!card.picture) return nothing();
  const src = (window.gradio_config?.root ?? '') + card.picture;
  const image = element('img', {class: 'picture', src, alt: card.prompt, loading: 'lazy', decoding: 'async', width: 320, height: 320});
  image.addEventListener('error', () => image.replaceWith(nothing()));
  return image;
}
