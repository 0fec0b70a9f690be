// Annotating: keys, drafts, the live difference, focus after each swap, seconds of work. The pages work without it.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const task = () => byId("task");
  const form = () => byId("work-form");
  const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };

  // ---- keys -------------------------------------------------------------------------------------------------------
  const inText = (element) => element.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=button])");
  const keysOn = () => stored("konomi-single-keys") !== "off";

  document.addEventListener("keydown", (event) => {
    // An input method's own Enter and digits choose a word; they never reach the task.
    if (event.isComposing || event.keyCode === 229 || event.altKey || !task()) return;
    const target = event.target;
    const writing = inText(target);
    if (event.key === "Enter" && form()) {
      const asked = event.ctrlKey || event.metaKey;
      const elsewhere = target.closest("button, a, summary, .skip-panel, .bar");
      if (writing ? asked && !elsewhere : !elsewhere || (asked && !target.closest(".bar"))) {
        event.preventDefault();
        if (!event.repeat) form().requestSubmit(byId("submit"));
      }
      return;
    }
    if (event.key === "Escape") {
      document.querySelectorAll(".foot details[open]").forEach((open) => { open.open = false; open.querySelector("summary").focus(); });
      if (writing) focusHeading();
      return;
    }
    if (writing || event.ctrlKey || event.metaKey || event.repeat || !keysOn()) return;
    const key = event.key.toLowerCase();
    if (/^[1-9]$/.test(key) && score(key)) return event.preventDefault();
    const control = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key && one.offsetParent !== null && getComputedStyle(one).visibility !== "hidden");
    if (!control) return;
    event.preventDefault();
    if (control.matches("textarea")) return void control.focus();
    control.click();
    if (control.matches("[type=radio]")) control.focus({ preventScroll: true });
  });

  // ---- scoring: a digit answers the aspect in turn and goes on to the next ------------------------------------------
  const aspects = () => [...document.querySelectorAll("#task .aspect")];
  const currentAspect = () => document.querySelector("#task .aspect.current");
  function setCurrent(aspect) {
    aspects().forEach((one) => one.classList.toggle("current", one === aspect));
  }
  function score(digit) {
    const aspect = currentAspect();
    const point = aspect?.querySelector(`input[value="${digit}"]`);
    if (!point) return false;
    point.click();
    const all = aspects();
    const next = all.slice(all.indexOf(aspect) + 1).find((one) => !one.querySelector(":checked")) ?? aspect;
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

  // ---- the difference of a post-edit --------------------------------------------------------------------------------
  const LIMIT = 4_000_000;  // cells of the table; beyond it only the count of changed places would be late
  const pieces = (text, by) => text.match(by === "characters" ? /\s+|\S/gu : /\s+|[\p{L}\p{N}\p{M}_]+(?:['’][\p{L}\p{N}\p{M}_]+)*|[^\s]/gu) ?? [];
  const blank = (piece) => /^\s/.test(piece);

  // Levenshtein by tokens with the way back: [["same" | "del" | "ins", token], …] and the count of edits.
  function difference(before, after) {
    let start = 0, endA = before.length, endB = after.length;
    while (start < endA && start < endB && before[start] === after[start]) start++;
    while (endA > start && endB > start && before[endA - 1] === after[endB - 1]) { endA--; endB--; }
    const a = before.slice(start, endA), b = after.slice(start, endB);
    if ((a.length + 1) * (b.length + 1) > LIMIT) return null;
    const width = b.length + 1, cost = new Uint32Array((a.length + 1) * width);
    for (let j = 0; j <= b.length; j++) cost[j] = j;
    for (let i = 1; i <= a.length; i++) {
      cost[i * width] = i;
      for (let j = 1; j <= b.length; j++) {
        cost[i * width + j] = a[i - 1] === b[j - 1] ? cost[(i - 1) * width + j - 1]
          : 1 + Math.min(cost[(i - 1) * width + j - 1], cost[(i - 1) * width + j], cost[i * width + j - 1]);
      }
    }
    const middle = [];
    for (let i = a.length, j = b.length; i || j;) {
      const here = cost[i * width + j];
      if (i && j && a[i - 1] === b[j - 1] && here === cost[(i - 1) * width + j - 1]) middle.push(["same", a[--i], j--]);
      else if (i && j && here === cost[(i - 1) * width + j - 1] + 1) { middle.push(["ins", b[--j]], ["del", a[--i]]); }
      else if (i && here === cost[(i - 1) * width + j] + 1) middle.push(["del", a[--i]]);
      else middle.push(["ins", b[--j]]);
    }
    const same = (token) => ["same", token];
    return before.slice(0, start).map(same).concat(middle.reverse(), before.slice(endA).map(same));
  }
  function distance(a, b) {  // edits between tokens without blanks, as the server counts them
    let start = 0, endA = a.length, endB = b.length;
    while (start < endA && start < endB && a[start] === b[start]) start++;
    while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
    let row = Array.from({ length: endB - start + 1 }, (_, j) => j);
    for (let i = start; i < endA; i++) {
      let corner = row[0]++;
      for (let j = start; j < endB; j++) {
        const above = row[j - start + 1];
        row[j - start + 1] = a[i] === b[j] ? corner : 1 + Math.min(corner, above, row[j - start]);
        corner = above;
      }
    }
    return row[row.length - 1];
  }
  function showDifference() {
    const editor = byId("text"), box = byId("diff");
    if (!box || !editor) return;
    const by = editor.dataset.tokens;
    const before = pieces(byId("original").textContent, by), after = pieces(editor.value, by);
    const a = before.filter((piece) => !blank(piece)), b = after.filter((piece) => !blank(piece));
    const rows = a.length * b.length > LIMIT ? null : difference(before, after);
    byId("reset").hidden = editor.value === byId("original").textContent;
    if (!rows) { byId("edits").textContent = "Too long to compare here"; box.textContent = ""; return; }
    // Neighbours that went, and neighbours that came, read as one stretch each.
    box.replaceChildren();
    let gone = "", come = "", plain = "";
    const put = (tag, text) => { if (text) { const node = tag ? document.createElement(tag) : document.createTextNode(""); node.textContent = text; box.append(node); } };
    const flush = () => { put("del", gone); put("ins", come); gone = come = ""; };
    for (const [what, token] of rows) {
      if (what === "same") { flush(); plain += token; continue; }
      put("", plain); plain = "";
      if (what === "del") gone += token; else come += token;
    }
    flush(); put("", plain);
    const edits = distance(a, b);
    byId("edits").textContent = edits ? `${edits} ${edits === 1 ? "edit" : "edits"} · HTER ${Math.round(100 * edits / Math.max(b.length, 1))}%` : "As it was";
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#reset")) {
      byId("text").value = byId("original").textContent;
      byId("text").dispatchEvent(new Event("input", { bubbles: true }));
      byId("text").focus();
    }
  });

  // ---- drafts -------------------------------------------------------------------------------------------------------
  let timer = 0, retry = 0, sending = null, dirty = false;
  const say = (words, failed = false) => {
    const saved = byId("saved");
    if (saved) { saved.textContent = words; saved.classList.toggle("failed", failed); }
  };
  // Signing in again, in another tab, changes the token: the forms of this one learn it from the cookie.
  function renewToken() {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
    if (token) document.querySelectorAll("#task [name=csrfmiddlewaretoken]").forEach((field) => { field.value = token; });
  }
  async function saveDraft() {
    const source = form();
    if (!source || !dirty) return;
    clearTimeout(timer); clearTimeout(retry);
    sending?.abort();
    renewToken();
    const control = sending = new AbortController();
    const data = new FormData(source);
    data.delete("active_seconds");
    dirty = false;
    say("Saving…");
    try {
      const answer = await fetch(source.dataset.draft, { method: "POST", body: data, signal: control.signal, redirect: "manual" });
      if (answer.type === "opaqueredirect") throw new Error("signed out");
      if (!answer.ok) throw new Error(String(answer.status));
      if (form() === source && !dirty) say("Saved");
    } catch (error) {
      if (error.name === "AbortError" || form() !== source) return;
      dirty = true;
      say(error.message === "signed out" ? "Signed out: sign in in another tab, and this is saved" : "Not saved yet: trying again", true);
      retry = setTimeout(saveDraft, 3000);
    } finally {
      if (sending === control) sending = null;
    }
  }
  document.addEventListener("input", (event) => {
    if (!event.target.closest || event.target.form !== form() || !form()) return;
    dirty = true;
    say("Not saved yet");
    clearTimeout(timer);
    timer = setTimeout(saveDraft, 500);
    if (event.target.id === "text") showDifference();
  });
  window.addEventListener("beforeunload", (event) => { if (dirty || sending) event.preventDefault(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) saveDraft(); });
  document.addEventListener("submit", (event) => {
    count();
    renewToken();
    if (event.target === form() || event.target.id === "skip-form") { clearTimeout(timer); clearTimeout(retry); sending?.abort(); dirty = false; }
  }, true);

  // ---- seconds of work: counted while the page is seen and the person did something in the last half minute -------------
  let active = 0, lastSign = performance.now();
  for (const sign of ["keydown", "pointermove", "pointerdown", "wheel", "touchstart", "scroll"]) {
    document.addEventListener(sign, () => { lastSign = performance.now(); }, { passive: true, capture: true });
  }
  let lastCount = performance.now();
  function count() {
    const now = performance.now();
    if (!document.hidden && now - lastSign < 30_000) active += (now - lastCount) / 1000;
    lastCount = now;
    const field = form()?.elements.active_seconds;
    if (field) field.value = active.toFixed(2);
  }
  setInterval(count, 1000);

  // ---- each task ----------------------------------------------------------------------------------------------------
  function focusHeading() { byId("heading")?.focus({ preventScroll: true }); }
  function listKeys() {
    const list = document.querySelector(".keys-list");
    if (!list) return;
    document.querySelector(".keys").hidden = false;
    const rows = [...task().querySelectorAll("[data-key]")].map((control) => {
      const holder = control.matches("input") ? control.closest("label") : control.matches("textarea") ? task().querySelector(`label[for="${control.id}"]`) : control;
      const words = [...(holder.querySelector(".side") ?? holder).childNodes].filter((node) => node.nodeName !== "KBD" && !node.matches?.(".meta, input")).map((node) => node.textContent).join(" ").trim();
      return [control.dataset.key.toUpperCase(), words.replace("…", "")];
    });
    if (aspects().length) rows.unshift(["1–9", "score the aspect in turn"]);
    rows.push([byId("text") ? "Ctrl Enter" : "Enter", "Submit"], ["Esc", "leave a text field"]);
    list.replaceChildren(...rows.flatMap(([key, words]) => {
      const term = document.createElement("dt"), cap = document.createElement("kbd"), meaning = document.createElement("dd");
      cap.textContent = key; term.append(cap); meaning.textContent = words;
      return [term, meaning];
    }));
    const box = byId("single-keys");
    box.checked = keysOn();
    box.addEventListener("change", () => {
      try { localStorage.setItem("konomi-single-keys", box.checked ? "on" : "off"); } catch { /* private window: for this page only */ }
    });
  }
  function begin(first) {
    if (!task()) return;
    dirty = false; clearTimeout(timer); clearTimeout(retry);
    listKeys();
    showDifference();
    const unanswered = aspects().find((one) => !one.querySelector(":checked")) ?? aspects()[0];
    if (unanswered) setCurrent(unanswered);
    const fault = byId("problems")?.querySelector("a");
    if (fault) { byId(fault.hash.slice(1))?.focus(); return; }
    active = 0;
    if (!first) window.scrollTo(0, 0);
    focusHeading();
    if (task().hasAttribute("data-submitted")) {
      const count = byId("done-by-me");
      count.textContent = String(Number(count.textContent) + 1);
    }
    byId("live").textContent = task().dataset.said;
  }
  document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target.id === "task" || event.detail.elt.id === "task") begin(false); });
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, () => { dirty = true; say("Not sent: no answer from the server. Press Submit again.", true); saveDraft(); });
  }
  begin(true);
})();
