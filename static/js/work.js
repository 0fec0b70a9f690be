// The frame of the annotation pages: keys, panels, focus after each swap, and `window.konomi`, which a kind's own
// script uses. The pages work without any of it. What it says comes from annotation/web/script_messages.py.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(byId(id)?.textContent ?? "{}");
  const task = () => byId("task");
  const form = () => byId("work-form");
  const messages = data("messages");
  const person = { user: 0, moved: {}, single: true, ...data("person") };

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
  const word = (key, values = {}) => fill(messages[key] ?? key, values);
  const count = (key, n) => word(`${key}.${n === 1 ? "one" : "other"}`, { n });
  const announce = (text) => { byId("live").textContent = text; };

  const begun = [];
  function onTask(run) {
    begun.push(run);
    if (task()) run(task());
  }
  const changed = () => document.dispatchEvent(new CustomEvent("konomi:changed"));

  // ---- what goes to the server without a swap: with the token that holds now, and saying whose page this is ---------
  const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
  // Signing in again changes the token: every form of this page learns it.
  function renewToken(given) {
    const value = given ?? token();
    document.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((field) => { field.value = value; });
  }
  function post(url, body, options = {}) {
    const headers = { "X-CSRFToken": token(), ...(person.user && { "Konomi-Person": String(person.user) }) };
    body.delete("csrfmiddlewaretoken");
    return fetch(url, { method: "POST", body, headers, redirect: "manual", ...options });
  }

  // ---- keys -------------------------------------------------------------------------------------------------------
  // A control says its key (data-key) and a name that lasts (data-action); a person may have moved the key elsewhere.
  const registered = new Map();
  const key = (entry) => { registered.set(entry.action, entry); };
  const keyOf = (action, usual) => person.moved[action] ?? usual;
  const keyFor = (control) => keyOf(control.dataset.action, control.dataset.key);
  const shownAs = (name) => name.length === 1 ? name.toUpperCase() : name;
  const isSeen = (control) => control.checkVisibility({ visibilityProperty: true });
  const inText = (element) => element.matches("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=button])");
  // An input method's own Enter and digits choose a word; they never reach the task.
  const composing = (event) => event.isComposing || event.keyCode === 229;

  function labelOf(control) {
    if (control.matches("input")) return control.closest("label");
    return control.matches("textarea") ? document.querySelector(`label[for="${control.id}"]`) : control;
  }
  function showCaps() {
    document.documentElement.classList.toggle("keys-off", !person.single);
    for (const control of document.querySelectorAll("[data-key]")) {
      const cap = labelOf(control)?.querySelector("kbd");
      if (!cap) continue;
      cap.classList.add("cap");
      cap.textContent = shownAs(keyFor(control));
    }
  }
  function press(name, event) {
    for (const entry of registered.values()) {
      if (keyOf(entry.action, entry.key) === name && entry.run(event) !== false) return true;
    }
    const control = [...document.querySelectorAll("#task [data-key]")].find((one) => keyFor(one) === name && isSeen(one));
    if (!control || control.disabled) return false;
    if (control.matches("textarea")) control.focus();
    else control.click();
    if (control.matches("[type=radio]")) control.focus({ preventScroll: true });
    return true;
  }
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || composing(event) || event.altKey || !task()) return;
    const { target } = event, open = document.querySelector("dialog[open]");
    if (open) {  // the key that opened a panel closes it; all others belong to the panel
      const opener = document.querySelector(`#task [data-opens="${open.id}"]`);
      if (opener && !inText(target) && event.key.toLowerCase() === keyFor(opener) && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        open.close();
      }
      return;
    }
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
      const panel = document.querySelector(".foot details[open]");
      if (panel) { panel.open = false; panel.querySelector("summary").focus(); }
      else if (writing) focusHeading();
      return;
    }
    if (writing || event.ctrlKey || event.metaKey || event.repeat || !person.single) return;
    if (press(event.key.toLowerCase(), event)) event.preventDefault();
  });

  // ---- panels: dialogs outside of the task, opened by a control inside it ---------------------------------------------
  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-opens]"), panel = opener && byId(opener.dataset.opens);
    if (!panel || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const url = opener.dataset.url ?? panel.dataset.url;
    if (url && panel.dataset.loaded !== url) {
      const body = panel.querySelector(".panel-body");
      body.textContent = word("panel.loading");
      htmx.ajax("GET", url, { target: body, swap: "innerHTML" })
        .then(() => { panel.dataset.loaded = url; }, () => { body.textContent = word("panel.failed"); });
    }
    if (panel.id === "keys-panel") listKeys();
    panel.showModal();
  });

  // What was written in a panel stays there when it could not be sent, and that is said.
  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(failure, ({ detail: { elt } }) => {
      if (!elt.matches("dialog .panel-body form")) return;
      const said = elt.querySelector(".unsent") ?? Object.assign(document.createElement("p"), { className: "message error unsent" });
      said.setAttribute("role", "alert");
      said.textContent = word("panel.unsent");
      elt.append(said);
    });
  }

  // ---- the list of keys -----------------------------------------------------------------------------------------------
  function listKeys() {
    const list = document.querySelector(".keys-list");
    if (!list) return;
    const rows = [...task().querySelectorAll("[data-key]")].filter(isSeen).map((control) => {
      const holder = labelOf(control), side = holder.querySelector(".side") ?? holder;
      const text = [...side.childNodes].filter((node) => node.nodeName !== "KBD" && !node.matches?.(".meta:not(:only-child), input, [hidden], .badge, .chosen, .short"))
        .map((node) => node.textContent).join(" ").replace(/\s+/g, " ").trim();
      return [keyFor(control), text.replace("…", "")];
    });
    for (const entry of registered.values()) if (entry.label) rows.push([keyOf(entry.action, entry.key), entry.label]);
    if (!byId("submit")?.dataset.key) rows.push([byId("submit")?.querySelector("kbd")?.textContent ?? "Enter", word("keys.submit")]);
    rows.push(["Esc", word("keys.leave")]);
    byId("single-keys").checked = person.single;
    list.replaceChildren(...rows.flatMap(([name, text]) => {
      const term = document.createElement("dt"), cap = document.createElement("kbd"), meaning = document.createElement("dd");
      cap.textContent = shownAs(name); term.append(cap); meaning.textContent = text;
      return [term, meaning];
    }));
  }

  // ---- each task ------------------------------------------------------------------------------------------------------
  function focusHeading() { byId("heading")?.focus({ preventScroll: true }); }
  function begin(section, first) {
    showCaps();
    const fault = byId("problems")?.querySelector("a");
    const field = fault && byId(fault.hash.slice(1));
    if (field) {
      field.focus();
      field.scrollIntoView({ block: "nearest" });
    } else {
      if (!first) window.scrollTo(0, 0);
      focusHeading();
    }
    if (section.hasAttribute("data-submitted")) countSubmission();
    announce(section.dataset.announcement ?? "");
  }
  function countSubmission() {
    const mine = byId("done-by-me"), bar = byId("my-progress"), all = byId("batch-done");
    if (mine) mine.textContent = String(Number(mine.textContent) + 1);
    if (bar) bar.value += 1;
    if (all) all.textContent = `${(all.dataset.done = Number(all.dataset.done) + 1)} / ${all.dataset.total}`;
  }

  // ---- problems: each goes when what it was about changes, the box with the last one ----------------------------------
  let faults = [];
  const entered = (field) => [...form().elements]
    // A verdict answers for the places of a ranking, too.
    .filter((control) => field.contains(control) || control.name === field.id || (control.name === "choice" && field.matches("[data-letter]")))
    .map((control) => control.matches("[type=radio], [type=checkbox]") ? control.checked : control.value?.trim()).join("\n");
  function watchProblems() {
    const links = [...(byId("problems")?.querySelectorAll("a") ?? [])];
    faults = links.map((link) => ({ link, field: byId(link.hash.slice(1)) })).filter(({ field }) => field)
      .map((fault) => ({ ...fault, was: entered(fault.field) }));
  }
  function dropProblems() {
    const rest = faults.filter(({ field, was }) => entered(field) === was);
    if (rest.length === faults.length) return;
    for (const { link, field } of faults.filter((fault) => !rest.includes(fault))) {
      (link.closest("li") ?? link).remove();
      field.classList.remove("faulty");
      for (const one of [field, ...field.querySelectorAll("[aria-describedby]")]) {
        const others = (one.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && id !== "problems");
        if (others.length) one.setAttribute("aria-describedby", others.join(" "));
        else one.removeAttribute("aria-describedby");
        one.removeAttribute("aria-invalid");
      }
    }
    faults = rest;
    if (!byId("problems")?.querySelector("a")) byId("problems")?.remove();
  }
  document.addEventListener("input", (event) => { if (event.target.form === form()) dropProblems(); });
  document.addEventListener("konomi:changed", dropProblems);
  onTask(watchProblems);

  // ---- one screen: the size of the texts, and what scrolls by itself can be scrolled by keys ---------------------------
  const SIZES = [0.8, 0.9, 1, 1.15, 1.3, 1.5, 1.75, 2], KEPT_SIZE = "konomi:text-size";
  let size = SIZES.indexOf(1);
  try { size = Math.max(0, SIZES.indexOf(Number(localStorage.getItem(KEPT_SIZE) ?? 1))); } catch { /* the usual size */ }
  function showSize() {
    document.documentElement.style.setProperty("--text-scale", String(SIZES[size]));
    for (const [action, last] of [["text-smaller", 0], ["text-larger", SIZES.length - 1]]) {
      const button = document.querySelector(`#task [data-action=${action}]`);
      if (button) button.disabled = size === last;
    }
  }
  document.addEventListener("click", (event) => {
    const action = event.target.closest?.("[data-action^=text-]")?.dataset.action;
    if (!action) return;
    size = Math.min(SIZES.length - 1, Math.max(0, size + (action === "text-larger" ? 1 : -1)));
    try { localStorage.setItem(KEPT_SIZE, String(SIZES[size])); } catch { /* for this page only */ }
    showSize();
    announce(word("text.size", { n: Math.round(100 * SIZES[size]) }));
  });
  const SCROLLS = ".source, .alternative, .judged-text, .stack, .aspects, .from, .editor";
  const focusable = "input:not([type=hidden]), button:not([hidden]), select, textarea, a";
  const scrollers = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollHeight > target.clientHeight + 1 && !target.querySelector(focusable)) target.tabIndex = 0;
      else if (target.tabIndex === 0) target.removeAttribute("tabindex");
    }
  });
  onTask((section) => {
    showSize();
    scrollers.disconnect();
    for (const one of section.querySelectorAll(SCROLLS)) scrollers.observe(one);
  });

  // Nothing waits for a transition: what comes is there at once.
  Object.assign(htmx.config, { defaultSettleDelay: 0, attributesToSettle: [] });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id === "task" && task()) for (const run of begun) run(task());
  });

  byId("single-keys")?.addEventListener("change", async ({ target }) => {
    person.single = target.checked;
    showCaps();
    const body = new FormData(), said = byId("single-keys-said");
    body.append("single", person.single ? "on" : "off");
    let isKept = false;
    try { isKept = (await post(target.dataset.url, body)).ok; } catch { /* no answer */ }
    said.textContent = word(isKept ? "keys.kept" : "keys.unkept");
  });

  document.documentElement.classList.add("scripted");
  window.konomi = { word, count, onTask, key, changed, announce, person, post, token, renewToken };
  let first = true;
  onTask((section) => { begin(section, first); first = false; });
})();
