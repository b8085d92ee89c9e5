/* SPDX-License-Identifier: MIT
 * Zoom, search and details of a flame graph. The picture is complete without it; this reads the exact weights out of the
 * two <metadata> elements (svg.c says how they are written) and moves the rectangles that are there.
 * Link: #at=ROW,START opens zoomed on a frame, &find=TEXT with a search.
 */
(() => {
  'use strict';
  const MARGIN = 10, PAD = 3, GAP = 0.5, SVG = 'http://www.w3.org/2000/svg', HTML = 'http://www.w3.org/1999/xhtml';
  const SECONDS = new Map([['ns', 1e-9], ['us', 1e-6], ['ms', 1e-3], ['s', 1]]);
  const svg = document.currentScript.closest('svg');
  const { unit, scale, other } = svg.dataset;
  const alone = document.documentElement === svg;
  const height = svg.viewBox.baseVal.height;
  let width = svg.viewBox.baseVal.width;

  const make = (ns, tag, attributes = {}, text = '') => {
    const element = document.createElementNS(ns, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.textContent = text;
    return element;
  };

  // ---- the frames --------------------------------------------------------------------------------------------------

  const names = svg.querySelector('.fg-n').textContent.split('\n');
  const lines = svg.querySelector('.fg-d').textContent.split('\n');
  const rows = Array.from(svg.querySelectorAll('.f > .r'), (g, depth) => {
    const numbers = lines[depth].split(' ').map(Number), per = other ? 5 : 4;
    let end = 0;
    const frames = Array.from(g.querySelectorAll(':scope > rect'), (rect, i) => {
      const [name, gap, weight, own, base] = numbers.slice(i * per, i * per + per);
      const start = end + gap;
      end = start + weight;
      rect.replaceChildren(); // its <title>: details are shown by this script
      return rect.frame = { rect, depth, name, start, end, weight, own, base };
    });
    return { g, frames, labels: g.lastElementChild };
  });
  const root = rows[0].frames[0];
  const upward = rows.length < 2 || rows[1].g.getCTM().f < rows[0].g.getCTM().f;
  let view = root, focus = null;

  const amount = weight => {
    const value = weight / scale, s = value * SECONDS.get(unit);
    if (!SECONDS.has(unit)) return value.toLocaleString('en-US', { maximumFractionDigits: 6 }) + ' ' + unit;
    return s >= 1 ? s.toFixed(2) + ' s' : s >= 1e-3 ? (s * 1e3).toFixed(2) + ' ms' : (s * 1e6).toFixed(2) + ' us';
  };
  const percent = (part, whole) => (100 * part / whole).toFixed(2) + ' %';
  const cut = (text, room) => {
    const letters = Array.from(text);
    return letters.length <= room ? text : letters.slice(0, room - 1).join('') + '…';
  };

  // Width of a letter as this browser draws it.
  const probe = rows[0].labels.appendChild(make(SVG, 'text', {}, 'M'.repeat(20)));
  const letter = probe.getComputedTextLength() / 20 || 6.65;
  probe.remove();

  const draw = () => {
    const px = (width - 2 * MARGIN) / (view.end - view.start);
    for (const row of rows) {
      const around = row.frames[0].depth < view.depth, labels = [];
      row.g.classList.toggle('up', around);
      for (const f of row.frames) {
        const shown = around ? f.start <= view.start && f.end >= view.end : f.end > view.start && f.start < view.end;
        if (f.hidden === shown) f.rect.style.display = shown ? '' : 'none';
        f.hidden = !shown;
        if (!shown) continue;
        const from = Math.max(f.start, view.start), x = MARGIN + (from - view.start) * px;
        const full = (Math.min(f.end, view.end) - from) * px, room = Math.floor((full - GAP - 2 * PAD) / letter);
        f.rect.setAttribute('x', x.toFixed(2));
        f.rect.setAttribute('width', Math.max(full > 1.5 ? full - GAP : full, 0.01).toFixed(2));
        if (room >= 3) labels.push(make(SVG, 'text', { x: x.toFixed(2) }, cut(names[f.name], room)));
      }
      row.labels.replaceChildren(...labels);
    }
  };
  for (const row of rows) for (const f of row.frames) f.hidden = false;

  const fit = () => {
    const room = alone ? (window.visualViewport || { width: innerWidth }).width : svg.parentElement.clientWidth;
    const changed = Math.max(300, Math.floor(room)) !== width;
    width = Math.max(300, Math.floor(room));
    svg.setAttribute('width', width);
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    panel.setAttribute('x', Math.max(0, width - MARGIN - panel.getAttribute('width')));
    return changed;
  };

  const remember = () => {
    reset.hidden = view === root && !input.value && !svg.classList.contains('found');
    if (!alone) return;
    const parts = [];
    if (view !== root) parts.push(`at=${view.depth},${view.start}`);
    if (input.value) parts.push('find=' + encodeURIComponent(input.value));
    try { history.replaceState(null, '', parts.length ? '#' + parts.join('&') : location.pathname + location.search); } catch { /* no history here */ }
  };

  const zoom = frame => {
    view = frame;
    hide();
    draw();
    remember();
  };

  // ---- search ------------------------------------------------------------------------------------------------------

  const panel = make(SVG, 'foreignObject', { class: 'panel', x: 0, y: 6, width: Math.min(600, width), height: 30 });
  const bar = panel.appendChild(make(HTML, 'div'));
  const found = bar.appendChild(make(HTML, 'span', { role: 'status', 'aria-live': 'polite' }));
  const input = bar.appendChild(make(HTML, 'input', { type: 'search', placeholder: 'Search (Ctrl-F)', 'aria-label': 'Search frames by regular expression', spellcheck: 'false' }));
  const reset = bar.appendChild(make(HTML, 'button', { type: 'button', title: 'Esc' }, 'Reset'));

  // Marks the frames that `wanted` says yes to. Of nested ones the outermost counts, so that the share is right.
  const mark = wanted => {
    const spans = [];
    for (const row of rows) {
      for (const f of row.frames) {
        const hit = wanted !== null && f !== root && wanted(f);
        if (hit !== (f.hit || false)) f.rect.classList.toggle('m', hit);
        f.hit = hit;
        if (hit) spans.push(f);
      }
    }
    const count = spans.length;
    let end = 0, total = 0;
    for (const f of spans.sort((a, b) => a.start - b.start)) {
      total += Math.max(0, f.end - Math.max(f.start, end));
      end = Math.max(end, f.end);
    }
    svg.classList.toggle('found', wanted !== null);
    found.textContent = wanted === null ? '' : `${percent(total, root.weight)} (${amount(total)}) in ${count} frame${count === 1 ? '' : 's'}`;
    remember();
  };

  const search = text => {
    input.value = text;
    if (!text) return mark(null);
    let test = name => name.includes(text);
    try {
      const pattern = new RegExp(text, /[A-Z]/.test(text) ? '' : 'i');
      test = name => pattern.test(name);
    } catch { /* no regular expression: taken as it is */ }
    const hits = names.map(test);
    mark(f => hits[f.name]);
  };

  // ---- details -----------------------------------------------------------------------------------------------------

  const tip = make(SVG, 'g', { class: 'tip' });
  const hide = () => { tip.style.display = 'none'; };

  const describe = f => {
    const text = [];
    for (let rest = Array.from(names[f.name]); rest.length; rest = rest.slice(90)) text.push(rest.slice(0, 90).join(''));
    text.push(`${amount(f.weight)}, ${percent(f.weight, root.weight)}` + (view === root ? '' : `, ${percent(f.weight, view.weight)} of the view`));
    text.push(`own ${amount(f.own)}, ${percent(f.own, root.weight)}`);
    if (other) {
      const change = (other === 'baseline' ? 1 : -1) * (f.weight - f.base);
      text.push(`${other} ${amount(f.base)}; change ${change < 0 ? '-' : '+'}${amount(Math.abs(change))}`);
    }
    return text;
  };

  // Shows the details of a frame beside a point of the window.
  const show = (f, x, y) => {
    const box = svg.getBoundingClientRect(), text = describe(f);
    const wide = Math.max(...text.map(line => Array.from(line).length)) * letter + 16, high = text.length * 15 + 11;
    let left = x - box.left + 14, top = y - box.top + 18;
    if (left + wide > width - 4) left = Math.max(4, width - 4 - wide);
    if (y + 18 + high > innerHeight) top = y - box.top - high - 10;
    tip.replaceChildren(make(SVG, 'rect', { width: wide.toFixed(1), height: high, rx: 4 }),
      ...text.map((line, i) => make(SVG, 'text', { x: 8, y: 17 + i * 15 }, line)));
    tip.setAttribute('transform', `translate(${left.toFixed(1)} ${Math.max(2, top).toFixed(1)})`);
    tip.style.display = '';
  };

  // ---- mouse and keys ----------------------------------------------------------------------------------------------

  const pick = frame => {
    if (focus) focus.rect.classList.remove('k');
    focus = frame;
    if (!frame) return;
    const box = frame.rect.getBoundingClientRect();
    frame.rect.classList.add('k');
    if (box.top < 0 || box.bottom > innerHeight) frame.rect.scrollIntoView({ block: 'center' });
    show(frame, box.left, frame.rect.getBoundingClientRect().bottom - 10);
    found.textContent = describe(frame).join('; ');
  };

  // The neighbour of the picked frame: its caller, its first callee, or the next in its row.
  const move = (rowStep, step) => {
    const from = focus || view, row = rows[from.depth + rowStep];
    if (!row) return from;
    const seen = row.frames.filter(f => !f.hidden);
    if (rowStep > 0) return seen.find(f => f.start >= from.start && f.end <= from.end) || from;
    if (rowStep < 0) return seen.find(f => f.start <= from.start && f.end >= from.end) || from;
    return seen[seen.indexOf(from) + step] || from;
  };

  const escape = () => {
    pick(null);
    hide();
    if (input.value || svg.classList.contains('found')) search('');
    else if (view !== root) zoom(root);
    input.blur();
  };

  const keys = {
    ArrowUp: () => pick(move(upward ? 1 : -1, 0)),
    ArrowDown: () => pick(move(upward ? -1 : 1, 0)),
    ArrowLeft: () => pick(move(0, -1)),
    ArrowRight: () => pick(move(0, 1)),
    Enter: () => { if (focus) zoom(focus); },
    '/': () => input.select(),
  };
  (alone ? document : svg).addEventListener('keydown', event => {
    const key = event.key;
    if (key === 'Escape') escape();
    else if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === 'f') input.select();
    else if (event.target !== input && !event.ctrlKey && !event.metaKey && !event.altKey && Object.hasOwn(keys, key)) keys[key]();
    else return;
    event.preventDefault();
  });
  const area = svg.querySelector('.f');
  area.addEventListener('mousemove', event => {
    if (event.target.frame) show(event.target.frame, event.clientX, event.clientY);
    else hide();
  });
  area.addEventListener('mouseleave', hide);
  area.addEventListener('click', event => { if (event.target.frame) zoom(event.target.frame); });
  for (const entry of svg.querySelectorAll('.l')) {
    const color = entry.querySelector('rect').getAttribute('class');
    entry.addEventListener('click', () => {
      input.value = '';
      mark(f => f.rect.classList.contains(color));
    });
  }
  input.addEventListener('input', () => search(input.value));
  reset.addEventListener('click', () => {
    search('');
    zoom(root);
  });
  addEventListener('resize', () => { if (fit()) draw(); });
  if (alone) addEventListener('scroll', () => panel.setAttribute('y', 6 + scrollY));
  else svg.setAttribute('tabindex', 0);

  // ---- start -------------------------------------------------------------------------------------------------------

  const open = () => {
    const asked = new URLSearchParams(alone ? location.hash.slice(1) : '');
    const [depth, start] = (asked.get('at') || '').split(',').map(Number);
    const frame = rows[depth] && rows[depth].frames.find(f => f.start === start) || root, text = asked.get('find') || '';
    if (frame !== view) zoom(frame);
    if (text !== input.value) search(text);
  };
  hide();
  svg.append(tip, panel);
  if (fit()) draw();
  open();
  if (alone) addEventListener('hashchange', open);
  remember();
  // The callers are at the bottom, which may be below the window. Where nobody looks it stays at its top: a browser without a
  // window takes an empty picture of a page that was scrolled.
  const seek = () => { if (height > innerHeight && view === root && scrollY === 0) scrollTo(0, height); };
  if (alone && upward) {
    if (document.hasFocus()) seek();
    else addEventListener('pointermove', seek, { once: true });
  }
})();
