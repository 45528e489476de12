// Keys on the viewer; those typed into a field stay there.

const DEGREES = 6, SHIFT = 0.04, ZOOM = 1.1;

/** `actions` as in `viewer.js`; `camera` is moved directly. */
export function addKeyboard(root, camera, actions, signal) {
  const turn = (yaw, pitch, event) => {
    if (event.shiftKey) camera.pan(-yaw / DEGREES * SHIFT, pitch / DEGREES * SHIFT);
    else camera.orbit(yaw, pitch);
    actions.moved();
  };
  const zoom = (factor) => {
    camera.zoom(factor);
    actions.moved();
  };
  const keys = {
    ArrowLeft: (event) => turn(-DEGREES, 0, event),
    ArrowRight: (event) => turn(DEGREES, 0, event),
    ArrowUp: (event) => turn(0, DEGREES, event),
    ArrowDown: (event) => turn(0, -DEGREES, event),
    '+': () => zoom(1 / ZOOM), '=': () => zoom(1 / ZOOM), '-': () => zoom(ZOOM),
    Home: actions.home, r: actions.home, ' ': actions.toggle,
    ',': () => actions.step(-1), '.': () => actions.step(1),
    m: actions.mesh, s: actions.screenshot, f: actions.full, c: actions.panel, '?': actions.help,
  };
  root.addEventListener('keydown', (event) => {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, select, dialog')) return;
    if (event.key === ' ' && target.closest('button, summary')) return;
    const action = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action(event);
  }, {signal});
}
