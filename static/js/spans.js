// Marks in the texts that are judged, with the mouse, a finger or the keyboard alone, and the drawing of these texts.
// The server counts Unicode code points; the DOM counts UTF-16: everything here but `rangeOf` is in code points.
"use strict";
(() => {
  const { word } = konomi;
  const panel = () => document.getElementById("mark-panel");
  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });
  let texts = [];      // of this task: {letter, element, points, marks, differs, field, list}
  let pending = null;  // a passage that was picked and waits for its verdict: {item, start, end, answers, walked}
  let walking = null;  // marking by keyboard: {item, from, to} with `to` where the next step starts
  let last = null;     // where marking by keyboard left off
  let touch = false;

  // ---- drawing --------------------------------------------------------------------------------------------------------
  const asks = () => [...panel().querySelectorAll("[data-asks]")];
  const options = (ask) => [...ask.querySelectorAll("[data-value]")];
  function labelOf(name, value) {
    const button = asks().filter((ask) => ask.dataset.asks === name).flatMap(options).find((one) => one.dataset.value === value);
    return button?.querySelector("span").textContent ?? value;
  }
  const said = (mark) => asks().map((ask) => labelOf(ask.dataset.asks, mark[ask.dataset.asks])).join(" · ");

  function draw(item) {
    const ranges = item.marks.map((mark, at) => ({ ...mark, number: at + 1 }));
    const waits = pending?.item === item ? pending : null;
    const ends = [...ranges, ...item.differs, ...(waits ? [waits] : [])].flatMap(({ start, end }) => [start, end]);
    const cuts = [...new Set([0, item.points.length, ...ends])].sort((a, b) => a - b);
    item.element.replaceChildren();
    for (let at = 1; at < cuts.length; at++) {
      const [from, to] = [cuts[at - 1], cuts[at]];
      const over = (range) => range.start < to && range.end > from;
      const marks = ranges.filter(over), names = [];
      if (marks.length) names.push("mark", marks.some((mark) => mark.quality !== "good") ? "bad" : "good");
      if (waits && over(waits)) names.push("mark", "pending");
      if (item.differs.some(over)) names.push("differs");
      const text = item.points.slice(from, to).join("");
      item.element.append(names.length ? make(names.includes("mark") ? "mark" : "span", names.join(" "), text) : text);
      for (const mark of ranges.filter((one) => one.end === to)) {
        const note = make("span", "mark-note"), number = make("sup", "", String(mark.number));
        number.setAttribute("aria-hidden", "true");
        note.append(number, make("span", "visually-hidden", word("mark.note", { n: mark.number, what: said(mark) })));
        item.element.append(note);
      }
    }
  }
  function list(item) {
    item.list.hidden = !item.marks.length;
    item.list.replaceChildren(...item.marks.map((mark, at) => {
      const row = document.createElement("li"), quote = make("q", "", short(item, mark)), remove = make("button", "link", word("mark.remove"));
      Object.assign(quote, { lang: item.element.lang, dir: item.element.dir });
      remove.type = "button";
      remove.setAttribute("aria-label", word("mark.remove_one", { n: at + 1 }));
      remove.addEventListener("click", () => {
        item.marks.splice(at, 1);
        store(item);
        konomi.announce(word("mark.removed", { n: at + 1 }));
        (item.list.querySelectorAll("button")[Math.min(at, item.marks.length - 1)] ?? item.list.parentElement).focus();
      });
      row.append(make("span", "mark-number", String(at + 1)), " ", quote, " ", make("span", "badge", said(mark)), " ", remove);
      return row;
    }));
  }
  const passage = (item, { start, end }) => item.points.slice(start, end).join("");
  function short(item, range) {
    const points = [...passage(item, range).replace(/\s+/g, " ")];
    return points.length > 60 ? `${points.slice(0, 40).join("")} … ${points.slice(-15).join("")}` : points.join("");
  }
  function store(item) {
    item.field.value = JSON.stringify(item.marks);
    draw(item);
    list(item);
    konomi.changed();
  }

  // ---- between the DOM and code points ----------------------------------------------------------------------------------
  function pointAt(item, node, offset) {
    const before = document.createRange();
    before.setStart(item.element, 0);
    before.setEnd(node, offset);
    const copy = before.cloneContents();
    copy.querySelectorAll(".mark-note").forEach((note) => note.remove());
    return [...copy.textContent].length;
  }
  function rangeOf(item, start, end) {
    const walker = document.createTreeWalker(item.element, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT,
      (node) => node.nodeType === 1 ? (node.matches(".mark-note") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP) : NodeFilter.FILTER_ACCEPT);
    const range = document.createRange();
    let seen = 0, placed = false;
    while (walker.nextNode()) {
      const points = [...walker.currentNode.data], to = seen + points.length;
      const within = (at) => points.slice(0, at - seen).join("").length;
      if (!placed && start < to) { range.setStart(walker.currentNode, within(start)); placed = true; }
      if (placed && end <= to) { range.setEnd(walker.currentNode, within(end)); break; }
      seen = to;
    }
    return range;
  }
  function trimmed(item, start, end) {
    const blank = (at) => !item.points[at].trim();
    while (start < end && blank(start)) start++;
    while (end > start && blank(end - 1)) end--;
    return start < end ? { item, start, end } : null;
  }
  function selected() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    const item = texts.find((one) => one.field && one.element.contains(range.startContainer));
    if (!item) return null;
    const ends = item.element.contains(range.endContainer);
    return trimmed(item, pointAt(item, range.startContainer, range.startOffset),
      ends ? pointAt(item, range.endContainer, range.endOffset) : item.points.length);
  }

  // ---- the panel: the verdict on the passage -----------------------------------------------------------------------------
  function open(range, walked) {
    const at = rangeOf(range.item, range.start, range.end).getBoundingClientRect();
    pending = { ...range, answers: {}, walked };
    draw(range.item);
    const box = panel();
    box.querySelector("q").textContent = short(range.item, range);
    box.querySelectorAll("[aria-pressed]").forEach((button) => button.setAttribute("aria-pressed", "false"));
    box.hidden = false;
    step();
    const under = at.bottom + 8 + box.offsetHeight < innerHeight - 80;
    box.style.top = `${Math.max(8, under ? at.bottom + 8 : Math.min(at.top, innerHeight - 80) - box.offsetHeight - 8)}px`;
    box.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8))}px`;
    // A sheet at the foot of a small screen never covers what it is about.
    const covered = at.bottom + 16 - box.getBoundingClientRect().top;
    if (covered > 0 && box.getBoundingClientRect().bottom >= innerHeight) scrollBy(0, covered);
    if (walked) options(asking())[0].focus({ preventScroll: true });
  }
  const asking = () => asks().find((ask) => !(ask.dataset.asks in pending.answers));
  function step() {
    for (const ask of asks()) ask.classList.toggle("asked", ask === asking());
  }
  function answer(button) {
    const ask = button.closest("[data-asks]"), focused = panel().contains(document.activeElement);
    pending.answers[ask.dataset.asks] = button.dataset.value;
    for (const one of options(ask)) one.setAttribute("aria-pressed", String(one === button));
    if (asking()) {
      step();
      if (focused) options(asking())[0].focus({ preventScroll: true });
      return;
    }
    const { item, start, end, answers } = pending, mark = { start, end, ...answers };
    const same = (one) => JSON.stringify(one) === JSON.stringify(mark);
    if (!item.marks.some(same)) item.marks.push(mark);
    item.marks.sort((a, b) => a.start - b.start || a.end - b.end);
    close();
    store(item);
    konomi.announce(word("mark.added", { n: item.marks.findIndex(same) + 1, what: said(mark) }));
  }
  function close() {
    if (!pending) return;
    const { item, walked, end } = pending, inside = panel().contains(document.activeElement);
    pending = null;
    panel().hidden = true;
    getSelection().removeAllRanges();
    draw(item);
    if (walked) { last = { item, at: end }; item.element.focus({ preventScroll: true }); }
    else if (inside) document.getElementById("heading")?.focus({ preventScroll: true });
  }

  // ---- marking by keyboard ------------------------------------------------------------------------------------------------
  // Words as the language has them (Japanese, too), signs as a reader sees them: boundaries in code points.
  function units(item, granularity) {
    const found = [];
    let at = 0;
    for (const { segment } of new Intl.Segmenter(item.element.lang || undefined, { granularity }).segment(item.points.join(""))) {
      const end = at + [...segment].length;
      if (segment.trim()) found.push({ start: at, end });
      at = end;
    }
    return found;
  }
  function start() {
    const marking = texts.filter((item) => item.field && item.points.length);
    if (!marking.length) return;
    // Again: the next text. Otherwise where the last mark was made.
    const item = walking ? marking[(marking.indexOf(walking.item) + 1) % marking.length] : last?.item ?? marking[0];
    stop();
    const words = units(item, "word"), from = last?.item === item ? last.at : 0;
    const first = words.find((unit) => unit.start >= from) ?? words.at(-1);
    if (!first) return;
    walking = { item, words, signs: units(item, "grapheme"), from: first.start, to: first.end };
    item.element.tabIndex = -1;
    item.element.classList.add("walking");
    item.element.focus({ preventScroll: true });
    document.getElementById("mark-hint").hidden = false;
    show(word("mark.walking", { text: item.letter.toUpperCase() }));
  }
  function stop() {
    if (!walking) return;
    walking.item.element.classList.remove("walking");
    document.getElementById("mark-hint").hidden = true;
    getSelection().removeAllRanges();
    walking = null;
  }
  const reach = () => ({ item: walking.item, start: Math.min(walking.from, walking.to), end: Math.max(walking.from, walking.to) });
  function show(before = "") {
    const { item, start, end } = reach(), range = rangeOf(item, start, end), box = range.getBoundingClientRect();
    getSelection().setBaseAndExtent(range.startContainer, range.startOffset, range.endContainer, range.endOffset);
    if (box.top < 60 || box.bottom > innerHeight - 120) scrollBy(0, box.top - innerHeight / 2);
    konomi.announce(`${before} ${passage(item, { start, end })}`.trim());
  }
  function move(units, forward, extend) {
    const { start, end } = reach();
    if (extend) {
      const next = forward ? units.find((unit) => unit.end > walking.to)?.end : units.findLast((unit) => unit.start < walking.to)?.start;
      if (next === undefined) return;
      walking.to = next;
      if (walking.to === walking.from) return move(units, forward, true);
      return show();
    }
    let unit = forward ? units.find((one) => one.start >= end) : units.findLast((one) => one.end <= start);
    if (units === walking.signs && units.filter((one) => one.start >= start && one.end <= end).length > 1) {
      // From words to single characters.
      unit = forward ? units.find((one) => one.start >= start) : units.findLast((one) => one.end <= end);
    }
    if (!unit) return;
    Object.assign(walking, { from: unit.start, to: unit.end });
    show();
  }
  function walkKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Shift") return;
    const rightToLeft = getComputedStyle(walking.item.element).direction === "rtl";
    const steps = {
      ArrowRight: [walking.words, !rightToLeft], ArrowLeft: [walking.words, rightToLeft],
      ArrowDown: [walking.signs, true], ArrowUp: [walking.signs, false],
    };
    if (event.key in steps) move(...steps[event.key], event.shiftKey);
    else if (event.key === "Enter") {
      const range = reach();
      stop();
      open(range, true);
    } else if (event.key === "Escape") {
      stop();
      document.getElementById("heading")?.focus({ preventScroll: true });
    } else {
      if (event.key === "Tab") stop();
      return;  // any other key means what it always means; M goes to the next text
    }
    event.preventDefault();
    event.stopPropagation();
  }
  function panelKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || event.key === "Shift") return;
    const inside = panel().contains(event.target);
    if (!inside && event.target.matches("textarea, select, input:not([type=radio], [type=checkbox])")) return;
    const choices = options(asking()), at = choices.indexOf(event.target);
    const arrow = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close();
    else if (arrow) choices[(at + arrow + choices.length) % choices.length].focus();
    else if ((event.key === "Enter" || event.key === " ") && inside) return event.stopPropagation();
    else if (event.key === "Enter") choices[0].focus();
    else if (inside || konomi.person.single) choices.find((one) => one.dataset.pick === event.key.toLowerCase())?.click();
    event.preventDefault();
    event.stopPropagation();
  }
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (pending) panelKey(event);
    else if (walking) walkKey(event);
  }, true);

  // ---- mouse and finger -----------------------------------------------------------------------------------------------------
  function offer() {
    const range = !walking && !pending && selected();
    if (range) open(range, false);
  }
  document.addEventListener("pointerdown", (event) => {
    touch = event.pointerType === "touch";
    if (pending && !panel().contains(event.target)) close();
    if (walking && !event.target.closest("[data-mark-start]")) stop();
  });
  document.addEventListener("pointerup", (event) => {
    if (!touch && !panel()?.contains(event.target)) setTimeout(offer);
  });
  let settled = 0;
  document.addEventListener("selectionchange", () => {
    clearTimeout(settled);
    if (touch && panel()) settled = setTimeout(offer, 600);  // a finger is done when its handles rest
  });
  // To select words of a text is not to choose that text.
  document.addEventListener("click", (event) => {
    const text = event.target.closest?.("[data-text]");
    if (text && !getSelection().isCollapsed && text.contains(getSelection().anchorNode)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#mark-panel button");
    if (event.target.closest?.("[data-mark-start]")) start();
    else if (button && pending) button.matches("[data-cancel]") ? close() : answer(button);
  });

  konomi.onTask((section) => {
    pending = walking = last = null;
    texts = [...section.querySelectorAll("[data-text]")].map((element) => {
      const letter = element.dataset.text, field = section.querySelector(`[name="spans-${letter}"]`);
      return {
        letter, element, field, points: [...element.textContent], differs: [], list: field?.parentElement.querySelector("ul"),
        marks: JSON.parse(field?.value || "[]"),
      };
    });
    for (const item of texts.filter((one) => one.marks.length)) { draw(item); list(item); }
    section.querySelectorAll("[data-mark-start]").forEach((button) => { button.hidden = !texts.some((item) => item.field); });
  });
  konomi.texts = { all: () => texts, draw };
})();
