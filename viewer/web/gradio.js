// The viewer inside a Gradio page: component.py names the value, this follows it.

import {createViewer} from './viewer.js';

/** `props.value` is {avatar, clip, audio}, each a Gradio file or null; `watch` as gr.HTML gives it. */
export function mount(element, props, watch) {
  const theme = document.body.classList.contains('dark') ? 'dark' : 'light';
  const place = element.querySelector('.avatar-viewer-place');
  const viewer = place.viewer = createViewer(place, {theme, hint: props.hint}); // the page's own buttons ask it for the pose
  document.dispatchEvent(new Event('avatar-viewer')); // a plot may wait for it
  const paused = matchMedia('(prefers-reduced-motion: reduce)').matches;
  let shown = {};
  const show = async () => {
    const wanted = urls(props.value);
    const before = shown;
    shown = wanted;
    if (wanted.avatar && wanted.avatar !== before.avatar) await viewer.load(wanted.avatar);
    const fresh = wanted.avatar !== before.avatar || wanted.clip !== before.clip;
    if (!fresh || shown !== wanted) return;
    if (wanted.clip) await viewer.play(wanted.clip, {audio: wanted.audio, paused});
    else if (before.clip) viewer.setPose();
  };
  const follow = () => show().catch((error) => {
    if (error.name !== 'AbortError') shown = {}; // the viewer has told the person; the same value may be tried again
  });
  watch('value', follow);
  follow();
  return viewer;
}

function urls(value) {
  return {avatar: value?.avatar?.url ?? null, clip: value?.clip?.url ?? null, audio: value?.audio?.url ?? null};
}
