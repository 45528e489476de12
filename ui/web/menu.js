// A button that opens a menu, and a button that wants a second press; both are Gradio's own buttons.

/** Show `menu` while it is in use: a press opens it; a choice, Escape, or a press elsewhere closes it. */
export function menu(buttonName, menuName) {
  const find = () => [document.querySelector(buttonName), document.querySelector(menuName)];
  const lines = () => [...document.querySelectorAll(`${menuName} button`)].filter((line) => line.offsetParent);
  const open = (on) => {
    const [button, list] = find();
    list?.classList.toggle('open', on);
    button?.setAttribute('aria-expanded', String(on));
    if (on) lines()[0]?.focus();
  };
  document.addEventListener('click', (event) => {
    const [button, list] = find();
    if (button?.contains(event.target)) open(!list.classList.contains('open'));
    else if (list?.classList.contains('open')) open(false);
  });
  document.addEventListener('keydown', (event) => {
    const [button, list] = find();
    if (!list?.classList.contains('open')) return;
    const at = lines().indexOf(document.activeElement);
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1}[event.key];
    if (event.key === 'Escape') {
      open(false);
      button.focus();
    } else if (to !== undefined && lines().length) {
      event.preventDefault();
      lines().at(to % lines().length).focus();
    }
  });
  find()[0]?.setAttribute('aria-haspopup', 'menu');
}

/** The first press on the button only asks; the second within five seconds goes through. */
export function pressTwice(name, question) {
  const label = (button) => [...button.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.(name);
    if (!button || button.classList.contains('asking')) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const text = label(button), before = text.data;
    button.classList.add('asking');
    text.data = question;
    setTimeout(() => {
      button.classList.remove('asking');
      text.data = before;
    }, 5000);
  }, true);
}
