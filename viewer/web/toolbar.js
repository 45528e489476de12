// Buttons over the picture, the choice of background, and the page of keyboard help.

import {element, iconButton} from './dom.js';

export const BACKGROUNDS = {Studio: '#8c9199', White: '#ffffff', Sand: '#d9cfc1', Night: '#14181d', Green: '#00b140'};

export const KEYS = [
  ['← → ↑ ↓', 'Turn the view'],
  ['Shift + arrows', 'Move the view'],
  ['+ and −', 'Zoom'],
  ['Home or R', 'Reset the view'],
  ['Space', 'Play or pause the clip'],
  [', and .', 'One frame back or on'],
  ['M', 'Mesh overlay'],
  ['S', 'Save a picture'],
  ['F', 'Full screen'],
  ['C', 'Show or hide the controls'],
  ['?', 'This help'],
];

/** `actions`: home, mesh, screenshot, full, panel, background(css colour). */
export class Toolbar {
  constructor(actions) {
    this.help = helpDialog();
    this.picker = element('input', {type: 'color', value: BACKGROUNDS.Studio, 'aria-label': 'Other background colour', oninput: () => actions.background(this.picker.value)});
    this.swatches = element('div', {class: 'swatches', role: 'group', 'aria-label': 'Background', hidden: true},
      ...Object.entries(BACKGROUNDS).map(([name, color]) => element('button', {
        type: 'button', class: 'swatch', title: name, 'aria-label': `${name} background`, style: `--color: ${color}`,
        onclick: () => { this.picker.value = color; actions.background(color); },
      })), this.picker);
    this.mesh = iconButton('mesh', 'Mesh overlay', actions.mesh, {'aria-pressed': 'false'});
    this.panel = iconButton('sliders', 'Controls', actions.panel, {'aria-pressed': 'false'});
    const background = iconButton('background', 'Background', () => {
      this.swatches.hidden = !this.swatches.hidden;
      background.setAttribute('aria-expanded', String(!this.swatches.hidden));
    }, {'aria-expanded': 'false'});
    this.root = element('div', {class: 'toolbar', role: 'toolbar', 'aria-label': 'View'},
      this.panel, iconButton('home', 'Reset the view', actions.home), this.mesh, background,
      iconButton('camera', 'Save a picture', actions.screenshot), iconButton('full', 'Full screen', actions.full),
      iconButton('help', 'Keyboard help', () => this.showHelp()));
  }

  showHelp() {
    this.help.showModal();
  }

  press(button, pressed) {
    button.setAttribute('aria-pressed', String(pressed));
  }
}

function helpDialog() {
  const dialog = element('dialog', {'aria-label': 'Keyboard help'});
  const close = iconButton('close', 'Close', () => dialog.close());
  const rows = KEYS.map(([keys, action]) => element('tr', {}, element('th', {scope: 'row'}, keys), element('td', {}, action)));
  dialog.append(
    element('header', {}, element('h2', {}, 'Moving the view'), close),
    element('p', {}, 'Drag to turn, scroll or pinch to zoom, drag with the right button or two fingers to move.'),
    element('table', {}, element('tbody', {}, ...rows)),
  );
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  return dialog;
}
