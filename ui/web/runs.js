// Refinements: a line for each, of which one is open. All text goes in as text.

import {element} from '../../viewer/web/dom.js';

const LABELS = {stop: 'Stop', look: 'Look', open: 'Open the head', config: 'Settings .json', delete: 'Delete'};
const MAIN = {open: true, resume: true, look: true};
const SETTLING = 3000; // milliseconds in which the form of the tab is filled
const ASKING = 5000; // milliseconds in which the second press deletes

/** `props.value` is {runs, current, empty} as ui/run_cards.py writes it; `watch` as gr.HTML gives it; `events` by action. */
export function mount(node, props, watch, events) {
  const runs = new Runs(node.querySelector('.runs-place'), events);
  const show = () => runs.show(props.value ?? {runs: [], current: '', empty: ''});
  watch('value', show);
  show();
}

class Runs {
  constructor(place, events) {
    this.events = events;
    this.items = new Map();
    this.open = new URLSearchParams(location.search).get('run') ?? '';
    this.list = element('ul', {'aria-label': 'Runs'});
    this.empty = element('p', {class: 'empty'});
    place.append(this.empty, this.list);
  }

  show({runs, current, empty}) {
    const asked = current !== this.current && runs.some(({id}) => id === current);
    this.current = current;
    if (asked && current !== this.open) this.choose(current);
    const before = this.items;
    this.items = new Map(runs.map((run) => [run.id, before.get(run.id) ?? this.item(run)]));
    for (const [id, {node}] of before) if (!this.items.has(id)) node.remove();
    runs.forEach((run, at) => {
      const item = this.items.get(run.id);
      if (this.list.children[at] !== item.node) this.list.insertBefore(item.node, this.list.children[at] ?? null);
      this.fill(item, run);
    });
    if (before.has(this.open) && !this.items.has(this.open)) this.choose('');
    this.empty.textContent = empty;
    this.empty.hidden = runs.length > 0 || !empty;
    this.expand();
    if (asked) inSight(this.items.get(current).node);
  }

  item({id}) {
    const parts = {
      title: element('span', {class: 'title'}), state: element('span', {class: 'state'}),
      recipe: element('p', {class: 'recipe'}), picture: element('img', {alt: '', hidden: true}),
      step: element('p', {class: 'step', role: 'status'}), note: element('p', {class: 'note'}),
      link: element('a', {target: '_blank', rel: 'noopener', hidden: true}, 'The job on Hugging Face'),
      log: element('pre', {tabindex: 0, 'aria-label': 'Last lines of the log'}), actions: element('div', {class: 'actions'}),
      bar: element('div', {class: 'bar', role: 'progressbar', 'aria-label': 'Done', 'aria-valuemin': 0, 'aria-valuemax': 100}),
    };
    const head = element('button', {type: 'button', class: 'line', onclick: () => this.toggle(id)}, parts.title, parts.state);
    const detail = element('div', {class: 'detail'}, parts.recipe, parts.picture, parts.step, parts.note, parts.link, parts.log, parts.actions);
    return {...parts, head, detail, node: element('li', {'data-run': id}, head, parts.bar, detail)};
  }

  /** Only what has changed is touched, so that focus, selection and the place in the log stay. */
  fill(item, run) {
    const text = JSON.stringify(run);
    if (item.text === text) return;
    item.text = text;
    item.node.dataset.status = run.status;
    for (const name of ['title', 'state', 'recipe', 'step', 'note']) {
      if (item[name].textContent !== run[name]) item[name].textContent = run[name];
      item[name].hidden = !run[name];
    }
    item.title.title = run.title;
    item.bar.style.setProperty('--done', run.share);
    item.bar.setAttribute('aria-valuenow', Math.round(100 * run.share));
    item.picture.hidden = !run.picture;
    if (run.picture && item.picture.getAttribute('src') !== run.picture) item.picture.src = run.picture;
    item.picture.alt = `The head so far: ${run.title}`;
    item.link.hidden = !run.link;
    if (run.link) item.link.href = run.link;
    this.fillLog(item.log, run.log.join('\n'));
    this.fillActions(item, run);
  }

  fillLog(log, text) {
    log.hidden = !text;
    if (log.textContent === text) return;
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.textContent = text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  fillActions(item, run) {
    const wanted = JSON.stringify([run.actions, run.resume]);
    if (item.wanted === wanted) return;
    item.wanted = wanted;
    item.actions.replaceChildren(...run.actions.map((name) => element('button', {
      type: 'button', 'data-action': name, class: MAIN[name] ? 'main' : '', onclick: (event) => this.press(name, run.id, event.currentTarget),
    }, name === 'resume' ? run.resume : LABELS[name])));
  }

  /** Deleting cannot be undone: the first press only asks. */
  press(name, id, button) {
    if (name === 'delete' && !button.classList.contains('asking')) {
      button.classList.add('asking');
      button.textContent = 'Press again to delete';
      setTimeout(() => { button.classList.remove('asking'); button.textContent = LABELS.delete; }, ASKING);
      return;
    }
    document.runChoice = id;
    this.events[name]();
  }

  toggle(id) {
    this.choose(this.open === id ? '' : id);
    this.expand();
  }

  /** The open one stands in the page's address, so that a reload opens it again. */
  choose(id) {
    this.open = id;
    const address = new URL(location.href);
    if (id) address.searchParams.set('run', id);
    else address.searchParams.delete('run');
    history.replaceState(history.state, '', address);
    // a Space lies in a frame of the Hub's page, whose address people see and keep
    if (window.parent !== window) window.parent.postMessage({queryString: address.searchParams.toString()}, 'https://huggingface.co');
  }

  expand() {
    for (const [id, {head, detail, log}] of this.items) {
      const open = id === this.open, was = !detail.hidden;
      head.setAttribute('aria-expanded', String(open));
      detail.hidden = !open;
      if (open && !was) log.scrollTop = log.scrollHeight;
    }
  }
}

/** Scroll to what lies below the form of the tab once that is shown, and again while the form still grows. */
function inSight(node) {
  let until = Infinity;
  const observer = new ResizeObserver(() => {
    const {top, bottom, height} = node.getBoundingClientRect();
    if (!height) return;
    if (until === Infinity) until = performance.now() + SETTLING;
    if (performance.now() > until) observer.disconnect();
    else if (top < 0 || bottom > innerHeight) node.scrollIntoView({block: 'center'});
  });
  [node, document.body].forEach((watched) => observer.observe(watched));
}
