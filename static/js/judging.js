// Judging: digits for the aspects in turn and their total; ranking by keys, by drag and by arrows; what differs; fixes.
"use strict";
(() => {
  const { word } = konomi;
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

  // ---- scoring: a digit answers the aspect in turn and goes on to the next ----------------------------------------------
  const aspects = () => all("#task .aspect");
  const answered = (aspect) => aspect.querySelector(":checked");
  function setCurrent(aspect) {
    aspects().forEach((one) => one.classList.toggle("current", one === aspect));
  }
  function score(digit) {
    const aspect = document.querySelector("#task .aspect.current"), point = aspect?.querySelector(`input[value="${digit}"]`);
    if (!point) return false;
    point.click();
    const every = aspects(), next = every.slice(every.indexOf(aspect) + 1).find((one) => !answered(one)) ?? aspect;
    setCurrent(next);
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    return true;
  }
  document.addEventListener("focusin", (event) => {
    const aspect = event.target.closest?.(".aspect");
    if (aspect) setCurrent(aspect);
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches?.(".aspect input")) setCurrent(event.target.closest(".aspect"));
  });
  for (const digit of "123456789") konomi.key({ action: `score-${digit}`, key: digit, label: "", run: () => score(digit) });

  // The weighted mean of the scores given so far, each put on 0 to 1 by its number of points: the server's own rule.
  function total(line) {
    const given = JSON.parse(line.dataset.weights || "{}"), known = Object.keys(given).length > 0;
    const scored = all(`.aspect[data-side="${line.dataset.total}"]`).filter(answered)
      .map((aspect) => ({ key: aspect.dataset.aspect, share: (Number(answered(aspect).value) - 1) / (all("input", aspect).length - 1) }));
    let weight = scored.map(({ key }) => Number(given[key] ?? (known ? 0 : 1)));
    if (!weight.some(Boolean)) weight = weight.map(() => 1);
    const sum = weight.reduce((a, b) => a + b, 0);
    const mean = scored.reduce((so_far, { share }, at) => so_far + weight[at] * share, 0) / sum;
    line.hidden = false;
    line.querySelector("b").textContent = sum ? String(Math.round(100 * mean)) : "–";
  }
  const totals = () => all("#task [data-total]").forEach(total);

  // ---- ranking: the places in the selects are the state; groups of letters, best first -------------------------------------
  let equal = false, dragged = null;
  const selects = () => all("#task select[data-letter]");
  const letters = () => selects().map((select) => select.dataset.letter);
  function groups() {
    const places = new Map();
    for (const select of selects()) if (select.value) places.set(Number(select.value), [...(places.get(Number(select.value)) ?? []), select.dataset.letter]);
    return [...places.keys()].sort((a, b) => a - b).map((place) => places.get(place));
  }
  const without = (letter) => groups().map((group) => group.filter((one) => one !== letter)).filter((group) => group.length);
  function rank(wanted, focus = null) {
    const filled = wanted.filter((group) => group.length), bad = document.querySelector("#task [name=choice][type=checkbox]");
    for (const select of selects()) {
      const place = filled.findIndex((group) => group.includes(select.dataset.letter));
      select.value = place < 0 ? "" : String(place + 1);
    }
    if (filled.length && bad) bad.checked = false;
    setEqual(false);
    showOrder(focus);
    showFixes();
    konomi.changed();
    konomi.announce(filled.map((group, at) => word("rank.place", { n: at + 1, who: group.join(" = ").toUpperCase() })).join(", ") || word("rank.none"));
  }
  function setEqual(on) {
    equal = on;
    byId("rank-equal")?.setAttribute("aria-pressed", String(on));
  }
  function next(letter) {
    const now = groups();
    if (now.flat().includes(letter)) return rank(without(letter));
    if (equal && now.length) now.at(-1).push(letter); else now.push([letter]);
    rank(now);
  }
  // An arrow takes a letter out of its tie, or into a tie with its neighbour: each step is one of the two.
  function shift(letter, by) {
    const now = groups(), at = now.findIndex((group) => group.includes(letter));
    if (at < 0) return rank(by < 0 ? [...now, [letter]] : now, letter);
    if (now[at].length > 1) {
      now[at] = now[at].filter((one) => one !== letter);
      now.splice(by < 0 ? at : at + 1, 0, [letter]);
    } else if (now[at + by]) {
      now[at + by].push(letter);
      now.splice(at, 1);
    }
    rank(now, letter);
  }
  function token(letter) {
    const button = make("button", "token", letter.toUpperCase());
    button.type = "button";
    button.dataset.token = letter;
    button.setAttribute("aria-label", word("rank.token", { letter: letter.toUpperCase() }));
    return button;
  }
  function showOrder(focus) {
    const strip = byId("order");
    if (!strip) return;
    const now = groups(), line = strip.querySelector(".order-groups"), tray = strip.querySelector(".order-unplaced");
    const gap = (at) => { const node = make("span", "order-gap"); node.dataset.gap = at; return node; };
    line.replaceChildren(gap(0), ...now.flatMap((group, at) => {
      const lane = make("span", "order-group");
      lane.dataset.group = at;
      lane.append(make("span", "order-place", String(at + 1)), ...group.flatMap((letter, i) => i ? [make("span", "meta", "="), token(letter)] : [token(letter)]));
      return [lane, gap(at + 1)];
    }));
    tray.replaceChildren(...letters().filter((letter) => !now.flat().includes(letter)).map(token));
    tray.parentElement.hidden = !tray.children.length;
    for (const card of all("#task [data-side].alternative")) card.classList.toggle("best", Boolean(now[0]?.includes(card.dataset.side)) && !tray.children.length);
    if (focus) strip.querySelector(`[data-token="${focus}"]`)?.focus();
  }
  function drop(letter, x, y) {
    const over = document.elementFromPoint(x, y), gap = over?.closest("[data-gap]"), group = over?.closest("[data-group]");
    const before = groups();
    if (over?.closest(".order-tray")) return rank(without(letter));
    if (group) {
      const target = before[Number(group.dataset.group)].find((one) => one !== letter);
      if (!target) return;
      rank(without(letter).map((one) => one.includes(target) ? [...one, letter] : one));
    } else if (gap || over?.closest(".order-line")) {
      // Where it is let go, best first; a gap counts the groups before it that stay when the letter leaves.
      const at = gap ? before.slice(0, Number(gap.dataset.gap)).filter((one) => one.some((other) => other !== letter)).length : before.length;
      const now = without(letter);
      now.splice(at, 0, [letter]);
      rank(now);
    }
  }
  document.addEventListener("pointerdown", (event) => {
    const held = event.target.closest?.("[data-token]");
    if (!held || event.button) return;
    dragged = { letter: held.dataset.token, node: held, x: event.clientX, y: event.clientY, moved: false };
    event.preventDefault();  // no selection of text along the way
    held.focus();
  });
  document.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    const [x, y] = [event.clientX - dragged.x, event.clientY - dragged.y];
    if (!dragged.moved && Math.hypot(x, y) < 5) return;
    dragged.moved = true;
    dragged.node.classList.add("dragged");
    dragged.node.style.translate = `${x}px ${y}px`;
    const over = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-gap], [data-group], .order-tray");
    all(".order .over").forEach((one) => one.classList.remove("over"));
    over?.classList.add("over");
  });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, (event) => {
    if (!dragged) return;
    const { letter, node, moved } = dragged;
    dragged = null;
    node.classList.remove("dragged");
    node.style.translate = "";
    all(".order .over").forEach((one) => one.classList.remove("over"));
    if (end === "pointerup" && moved) drop(letter, event.clientX, event.clientY);
    else if (end === "pointerup") next(letter);
  });
  document.addEventListener("keydown", (event) => {
    const letter = event.target.dataset?.token, by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!letter || event.ctrlKey || event.metaKey || event.altKey) return;
    const turned = getComputedStyle(event.target).direction === "rtl" && /Left|Right/.test(event.key) ? -1 : 1;
    if (by) shift(letter, by * turned);
    else if (event.key === " ") next(letter);
    else if (event.key === "Enter") byId("work-form").requestSubmit(byId("submit"));
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const { target } = event, button = target.closest?.("[data-rank]"), card = target.closest?.(".ranked .alternative");
    if (button) next(button.dataset.rank);
    else if (card && !target.closest("select, label, button")) next(card.dataset.side);
    else if (target.closest?.("#rank-equal")) setEqual(!equal && groups().length > 0);
    else if (target.closest?.("#rank-all")) rank([letters()]);
    else if (target.closest?.("#rank-reset")) rank([]);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("#task [name=choice][type=checkbox]:checked")) rank([]);
    else if (event.target.matches("#task select[data-letter]")) {
      const bad = document.querySelector("#task [name=choice][type=checkbox]");
      if (event.target.value) bad.checked = false;
      showOrder();
      showFixes();
    }
    else if (event.target.matches("#task [name=choice]")) showFixes();
    if (event.target.matches(".aspect input")) totals();
  });

  // ---- fixes: the editor of what is better; of every text where nothing is ---------------------------------------------------
  function fixable() {
    const ranked = groups(), checked = document.querySelector("#task [name=choice]:checked")?.value;
    if (selects().length) return checked ? letters() : ranked[0] ?? [];
    if (!checked) return [];
    return checked === "tie" || checked === "both_bad" ? all("#task [data-fix]").map((field) => field.dataset.fix) : [checked];
  }
  function showFixes() {
    const open = fixable();
    for (const field of all("#task [data-fix]")) field.hidden = !open.includes(field.dataset.fix);
    if (byId("fix-nothing")) byId("fix-nothing").hidden = open.length > 0;
  }
  let asked = false;  // an editor that was open already takes no focus
  document.addEventListener("click", (event) => { if (event.target.closest?.("#fix > summary")) asked = true; });
  document.addEventListener("toggle", (event) => {
    if (event.target.id !== "fix" || !event.target.open || !asked) return;
    asked = false;
    const editor = all("#task [data-fix]:not([hidden]) textarea")[0];
    editor?.focus();
    editor?.scrollIntoView({ block: "nearest" });
  }, true);
  const plain = (text) => text.replace(/\r\n?/g, "\n");
  function isUntouched(editor) {
    const original = plain(konomi.texts.all().find((item) => editor.name === `fix-${item.letter}`)?.points.join("") ?? "");
    return plain(editor.value) === original;
  }
  // What was never touched need not travel.
  document.addEventListener("formdata", (event) => {
    for (const editor of all("[data-fix] textarea", event.target)) {
      if (isUntouched(editor) && editor.value === editor.defaultValue) event.formData.delete(editor.name);
    }
  });

  // ---- what differs: the server compared the texts; null stands for one that is too long ---------------------------------------
  let differing = false;
  function compare(say) {
    const button = byId("difference"), items = konomi.texts.all();
    if (!button) return;
    button.setAttribute("aria-pressed", String(differing));
    const passages = differing ? JSON.parse(document.querySelector("#task [data-differing]").dataset.differing) : [];
    items.forEach((item, at) => {
      item.differs = (passages[at] ?? []).map(([start, end]) => ({ start, end }));
      konomi.texts.draw(item);
    });
    if (!say) return;
    const counts = items.map((item) => item.differs.length);  // of two, both sides of a place are marked
    const places = items.length === 2 ? Math.max(...counts) : counts.reduce((a, b) => a + b, 0);
    konomi.announce(passages.includes(null) ? word("differ.late") : differing ? konomi.count("differ", places) : word("differ.off"));
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#difference")) { differing = !differing; compare(true); }
  });

  konomi.onTask((section) => {
    if (aspects().length) konomi.key({ action: "score", key: "1–9", label: word("score.turn"), run: () => false });
    const unanswered = aspects().find((one) => !answered(one)) ?? aspects()[0];
    if (unanswered) setCurrent(unanswered);
    totals();
    dragged = null;
    setEqual(false);
    all(".rank-next, #rank-equal, #rank-all, #rank-reset, #order, #difference", section).forEach((one) => { one.hidden = false; });
    showOrder();
    showFixes();
    asked = false;
    if (all("[data-fix] textarea", section).some((editor) => !isUntouched(editor))) byId("fix").open = true;
    if (differing) compare(false);
  });
})();
