// Pointer, touch and wheel on the picture become camera moves.

const DEGREES_PER_HEIGHT = 180; // a drag over the whole picture turns half round
const WHEEL = 0.0015, LINE_HEIGHT = 33; // zoom per pixel of wheel; pixels per line where wheels count lines

/** One pointer turns, two zoom and pan, the right button or Shift pans. `moved()` after every change. */
export function addGestures(canvas, camera, moved, signal) {
  const points = new Map();
  const on = (type, handler, options = {}) => canvas.addEventListener(type, handler, {...options, signal});
  canvas.style.touchAction = 'none';

  on('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    points.set(event.pointerId, [event.clientX, event.clientY]);
  });
  on('pointermove', (event) => {
    const point = points.get(event.pointerId);
    if (!point) return;
    const size = Math.min(canvas.clientWidth, canvas.clientHeight) || 1;
    const dx = (event.clientX - point[0]) / size, dy = (event.clientY - point[1]) / size;
    if (points.size > 1) pinch(point, event, dx, dy);
    else if (event.shiftKey || event.buttons & 6) camera.pan(dx, dy);
    else camera.orbit(-dx * DEGREES_PER_HEIGHT, dy * DEGREES_PER_HEIGHT);
    point[0] = event.clientX;
    point[1] = event.clientY;
    moved();
  });
  for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) {
    on(type, (event) => points.delete(event.pointerId));
  }
  on('contextmenu', (event) => event.preventDefault());
  on('wheel', (event) => {
    event.preventDefault();
    camera.zoom(Math.exp(event.deltaY * WHEEL * (event.deltaMode === 1 ? LINE_HEIGHT : 1)));
    moved();
  }, {passive: false});

  /** Each finger does half of the pan; the distance between them is the zoom. */
  function pinch(point, event, dx, dy) {
    let other = point;
    for (const candidate of points.values()) if (candidate !== point) other = candidate;
    const before = Math.hypot(point[0] - other[0], point[1] - other[1]);
    const after = Math.hypot(event.clientX - other[0], event.clientY - other[1]);
    if (after > 1) camera.zoom(before / after);
    camera.pan(dx / 2, dy / 2);
  }
}
