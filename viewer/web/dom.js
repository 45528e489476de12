// Elements, icons and names; all text goes in as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  play: 'M7 4.5v11l9-5.5z',
  pause: 'M6.5 4.5v11M13.5 4.5v11',
  loop: 'M4 9a6 6 0 0 1 10.5-3.5L16 7M16 3.5V7h-3.5M16 11a6 6 0 0 1-10.5 3.5L4 13M4 16.5V13h3.5',
  home: 'M3.5 10 10 4l6.5 6M5.5 8.5V16h9V8.5',
  mesh: 'M10 2.8 16.5 6.5v7L10 17.2 3.5 13.5v-7zM3.5 6.5 10 10l6.5-3.5M10 10v7.2',
  background: 'M10 3.5a6.5 6.5 0 1 0 0 13zM10 3.5a6.5 6.5 0 0 1 0 13M12.5 5v10M14.8 7.5v5',
  camera: 'M3 6.5h3l1.4-2h5.2l1.4 2h3v9H3zM10 13.6a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6z',
  full: 'M3.5 7.5v-4h4M12.5 3.5h4v4M16.5 12.5v4h-4M7.5 16.5h-4v-4',
  sliders: 'M3.5 6h7M14.5 6h2M12.5 4v4M3.5 14h2M9.5 14h7M7.5 12v4',
  help: 'M7.4 7.4a2.6 2.6 0 1 1 3.9 2.3c-.8.5-1.3 1-1.3 2M10 14.6v.2',
  reset: 'M4.5 10a5.5 5.5 0 1 1 1.7 4M4.5 15.5V12H8',
  close: 'M5.5 5.5l9 9M14.5 5.5l-9 9',
};

/** `element('button', {class: 'icon', onclick: f, 'aria-label': 'Play'}, child, 'text', …)` */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (typeof value === 'boolean') node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** A round button with an icon; `label` is what it does, for the tooltip and the screen reader. */
export function iconButton(name, label, onclick, properties = {}) {
  return element('button', {type: 'button', class: 'icon', title: label, 'aria-label': label, onclick, ...properties}, icon(name));
}

/** "mouthSmileLeft" → "Mouth smile left" */
export function readable(name) {
  const words = name.replace(/[_-]+/g, ' ').replace(/([a-z])([A-Z0-9])/g, '$1 $2').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
