// The playhead over a plot of the clip's channels, and the way from a click on it to a moment of the clip.

/** `element` holds a .motion-plot, now or later; `place` finds the element of the viewer that plays the clip. */
export function follow(element, place = () => document.querySelector('.avatar-viewer-place')) {
  const seconds = () => Number(element.querySelector('.motion-plot')?.dataset.seconds ?? 0);
  const move = (time) => {
    const head = element.querySelector('.playhead'), length = seconds();
    if (head && length) head.style.left = `${Math.min(1, time / length) * 100}%`;
  };
  const seek = (event) => {
    const lanes = element.querySelector('.lanes');
    if (!lanes || !lanes.contains(event.target)) return;
    if (event.type === 'pointermove' && !event.buttons) return;
    const {left, width} = lanes.getBoundingClientRect();
    place()?.viewer?.seek(Math.max(0, Math.min(1, (event.clientX - left) / width)) * seconds());
  };
  element.addEventListener('pointerdown', seek);
  element.addEventListener('pointermove', seek);
  const attach = () => {
    const viewer = place()?.viewer;
    if (viewer) viewer.on('time', move);
    return Boolean(viewer);
  };
  if (!attach()) document.addEventListener('avatar-viewer', attach, {once: true});
}
