// index.html: the viewer alone on a page, told by the address what to show.

import {createViewer} from './viewer.js';

const wanted = new URLSearchParams(location.search);
const panel = wanted.has('panel') ? wanted.get('panel') !== '0' : undefined;
const viewer = createViewer(document.getElementById('viewer'), {panel, ui: wanted.get('ui') !== '0'});
window.viewer = viewer;

/** What fails is told by the viewer itself. */
async function show() {
  if (!wanted.get('avatar')) return;
  if (wanted.get('background')) viewer.setBackground(`#${wanted.get('background')}`);
  await viewer.load(wanted.get('avatar'));
  const paused = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (wanted.get('clip')) await viewer.play(wanted.get('clip'), {audio: wanted.get('audio'), paused});
}

show().catch((error) => console.warn(error.message));
