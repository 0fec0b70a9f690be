// Nothing is lost: drafts, the way back from a lost connection or session, and the seconds of work.
"use strict";
(() => {
  const { word, person, post, renewToken, token, onTask, announce } = konomi;
  const byId = (id) => document.getElementById(id);
  const SAVE_AFTER = 500, TIMEOUT = 20_000, KEEPALIVE_LIMIT = 60_000, SETTLED = 5_000, MONTH = 30 * 86_400_000;
  // The server's clock decides what is newer: this browser's may be wrong.
  const skew = person.now ? person.now - Date.now() : 0;

  // ---- what this browser keeps: one copy for each person and task, until the server has acknowledged it -------------
  const PREFIX = "konomi:draft:", mine = `${PREFIX}${person.user}:`;
  const OWN = new Set(["csrfmiddlewaretoken", "visit", "active_seconds", "idle_seconds"]);
  const keptKeys = (prefix) => { try { return Object.keys(localStorage).filter((key) => key.startsWith(prefix)); } catch { return []; } };
  const forget = (key) => { try { localStorage.removeItem(key); } catch { /* nothing was kept */ } };
  function kept(key) {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  }
  function keep(it) {
    if (!it.draft) return;
    const fields = [...new FormData(it.form)].filter(([name, value]) => !OWN.has(name) && typeof value === "string");
    const copy = { at: Date.now() + skew, draft: it.draft, answer: it.form.action, fields, submit: it.submitter && [it.submitter.name, it.submitter.value] };
    try { localStorage.setItem(it.key, JSON.stringify(copy)); it.isKept = true; } catch { it.isKept = false; }
  }
  function refill(form, fields) {
    const given = new Map();
    for (const [name, value] of fields) given.set(name, [...(given.get(name) ?? []), value]);
    for (const control of form.elements) {
      if (!control.name || OWN.has(control.name) || control.matches("button, [type=submit]")) continue;
      const values = given.get(control.name) ?? [];
      if (control.matches("[type=radio], [type=checkbox]")) control.checked = values.includes(control.value);
      else if (values.length) control.value = values.shift();
    }
  }

  // ---- the task on the page: what was entered, and how much of it the server has -------------------------------------
  let it = null, leaving = false, outcome = 0;
  const isUnsaved = () => it && ((it.draft && it.entered !== it.acknowledged) || it.submitter);
  function say(key, isFailure = false) {
    const saved = byId("saved");
    if (!saved) return;
    const words = word(key);
    saved.classList.toggle("failed", isFailure);
    if (saved.textContent === words) return;
    saved.textContent = words;
    if (isFailure) announce(words);
  }
  const sayKept = (what) => say(!it.isKept && it.draft ? "draft.unkept" : `${what}.${navigator.onLine ? "waiting" : "offline"}`, true);
  function changed() {
    if (!it?.draft) return;
    it.entered++;
    keep(it);
    if (it.submitting) return;
    if (it.submitter) return sayKept("submit");
    if (!it.tries) say("draft.saving");
    // The first change sets the clock, so that steady typing is saved as well.
    it.timer ||= setTimeout(save, SAVE_AFTER);
  }
  async function save({ last = false } = {}) {
    const its = it;
    if (!its?.draft || its.entered === its.acknowledged || its.submitting) return;
    if (its.saving && !last) return;
    clearTimeout(its.timer); its.timer = 0;
    count();
    const mark = its.entered, body = new FormData(its.form), control = new AbortController();
    its.saving = control;
    konomi.feedback?.ask(body);
    say("draft.saving");
    const size = last ? [...body].reduce((sum, [name, value]) => sum + name.length + 3 * value.length + 100, 0) : 0;
    const late = setTimeout(() => control.abort(), TIMEOUT);
    let status = 0, feedback = "";
    try {
      const answer = await post(its.draft, body, { signal: control.signal, keepalive: last && size < KEEPALIVE_LIMIT });
      status = answer.status;
      if (status === 200) feedback = await answer.text();
    } catch { /* no answer: 0 */ }
    clearTimeout(late);
    if (its.saving === control) its.saving = null;
    if (status >= 200 && status < 300) {
      its.acknowledged = Math.max(its.acknowledged, mark);
      if (its.entered === its.acknowledged && !its.submitter) forget(its.key);
      if (its !== it || its.submitting) return;
      its.tries = 0;
      if (feedback) konomi.feedback?.show(feedback);
      signedInAgain();
      if (its.entered === its.acknowledged) say("draft.saved");
      else its.timer ||= setTimeout(save, SAVE_AFTER);
    } else if (its === it && !its.submitting) failed(status, "draft");
  }
  // What to do about an answer that is none: ask for the sign-in, try again, or say that it is of no use.
  function failed(status, what) {
    if (status === 401 || status === 403) {
      say("draft.session", true);
      ask(what === "submit");
    } else if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
      it.submitter = null;
      return say(status === 413 ? "draft.large" : "draft.refused", true);
    } else sayKept(what);
    const wait = Math.min(1000 * 2 ** it.tries++, status === 401 || status === 403 ? 4000 : 30_000);
    clearTimeout(it.timer);
    it.timer = setTimeout(go, wait * (0.8 + 0.4 * Math.random()));
  }
  function go() {
    if (!it) return;
    clearTimeout(it.timer); it.timer = 0;
    if (it.submitter && !it.submitting) it.form.requestSubmit(it.submitter);
    else save();
    sendEarlier();
  }
  // Copies of other tasks of this person, from a page that was closed: a draft, or an answer that was on its way.
  let isSendingEarlier = false;
  async function sendEarlier() {
    if (isSendingEarlier) return;
    isSendingEarlier = true;
    for (const key of keptKeys(mine)) {
      const copy = key === it?.key ? null : kept(key), as = JSON.stringify(copy);
      // A fresh one is still in the hand of another tab.
      if (!copy || Date.now() + skew - copy.at < SETTLED) continue;
      const body = new FormData();
      for (const [name, value] of copy.fields) body.append(name, value);
      if (copy.submit?.[0]) body.append(...copy.submit);
      try {
        let answer = copy.submit ? await post(copy.answer, body) : { status: 422 };
        if (answer.status === 422) answer = await post(copy.draft, body);
        if (answer.ok || answer.type === "opaqueredirect" || answer.status === 404) { if (JSON.stringify(kept(key)) === as) forget(key); }
      } catch { break; /* still away: the next time */ }
    }
    isSendingEarlier = false;
  }
  for (const key of keptKeys(PREFIX)) {
    if (!key.startsWith(mine) && !(kept(key)?.at > Date.now() - MONTH)) forget(key);
  }

  document.addEventListener("input", (event) => { if (it && event.target.form === it.form) changed(); });
  document.addEventListener("konomi:changed", changed);
  window.addEventListener("online", () => { if (it) it.tries = 0; go(); });
  window.addEventListener("offline", () => { if (isUnsaved()) sayKept(it.submitter ? "submit" : "draft"); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; go(); } });
  window.addEventListener("beforeunload", (event) => {
    if (leaving || !isUnsaved()) return;
    save({ last: true });
    event.preventDefault();
  });

  // ---- submitting: kept until the server has answered, sent again by itself, taken once ------------------------------
  let last = null;  // the form that was sent, for after a sign-in
  document.addEventListener("submit", (event) => {
    const { target } = event;
    renewToken();
    if (it && ["skip-form", "release-form", "undo-form"].includes(target.id)) {
      count(target);
      if (target.id !== "skip-form") { save({ last: true }); ping(); }
      if (target.id === "release-form") leaving = true;
    }
    if (it && target === it.form) {
      count();
      if (event.submitter?.hasAttribute("formaction")) { leaving = true; return; }
      it.submitter = event.submitter ?? byId("submit");
      keep(it);
    }
    if (target.action?.endsWith("/logout/")) {  // a shared computer keeps nothing of who left
      window.addEventListener("pagehide", () => keptKeys(mine).forEach(forget));
    }
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    const { detail } = event;
    if (person.user) detail.headers["Konomi-Person"] = String(person.user);
    if (detail.verb !== "get") detail.parameters.csrfmiddlewaretoken = token();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    last = event.detail.elt;
    if (last !== it?.form) return;
    clearTimeout(it.timer); it.timer = 0;
    it.saving?.abort();
    it.submitting = true;
    say("submit.sending");
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, elt } = event.detail, { status } = xhr;
    if (!elt.closest("#task")) return;
    if (elt === it?.form) it.submitting = false;
    if (status < 400 || status === 409 || status === 422) {
      outcome = elt === it?.form || elt.id === "skip-form" ? status : 0;
      if (xhr.getResponseHeader("HX-Redirect")) {  // taken, and the next page is another one
        leaving = true;
        if (outcome === 200) forget(it.key);
      }
      return signedInAgain();
    }
    event.preventDefault();
    notTaken(elt, status);
  });
  for (const failure of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failure, (event) => {
      if (!event.detail.elt.closest("#task")) return;
      if (event.detail.elt === it?.form) it.submitting = false;
      notTaken(event.detail.elt, 0);
    });
  }
  function notTaken(elt, status) {
    if (elt === it?.form) failed(status, "submit");
    else if (status === 401 || status === 403) ask(true);
    else say("action.failed", true);
  }

  // ---- the session: sign in again in place ----------------------------------------------------------------------------
  const session = byId("session");
  let isAsking = false, wasDismissed = false;
  async function ask(isUrgent) {
    if (!session || isAsking || session.open || (wasDismissed && !isUrgent)) return;
    isAsking = true;
    const { login, after } = session.dataset;
    try {
      await read(await fetch(`${login}?next=${encodeURIComponent(after)}`, { headers: { Accept: "text/html" } }));
    } catch { show(null, "session.elsewhere"); /* another site's sign-in, perhaps */ }
    isAsking = false;
  }
  async function read(answer) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const who = page.getElementById("person"), form = page.querySelector("form:has([type=password])");
    if (who) return begun(JSON.parse(who.textContent).user, page);
    show(form, form ? "" : answer.status === 429 ? "session.often" : "session.elsewhere");
  }
  function show(form, said) {
    const body = session.querySelector(".panel-body");
    body.replaceChildren(...(form ? [document.importNode(form, true)] : []));
    byId("session-said").textContent = said && word(said);
    const name = body.querySelector("[name=login]");
    if (name) name.value = person.email;
    if (!session.open) session.showModal();
    body.querySelector("[type=password]")?.focus();
  }
  function begun(user, page) {
    if (user !== person.user) {  // what was typed stays with its own person, in this browser's store
      leaving = true;
      return location.reload();
    }
    renewToken(page.querySelector("[name=csrfmiddlewaretoken]")?.value);
    signedInAgain();
    if (it) it.tries = 0;
    if (last && last !== it?.form && last.isConnected && !it?.submitter) last.requestSubmit();
    else go();
    last = null;
  }
  function signedInAgain() {
    wasDismissed = false;
    if (session?.open) session.close();
  }
  session?.addEventListener("cancel", () => { wasDismissed = true; });
  session?.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const { target } = event;
    byId("session-said").textContent = word("session.sending");
    try {
      await read(await fetch(target.action, { method: "POST", body: new FormData(target) }));
    } catch { byId("session-said").textContent = word("session.failed"); }
  });

  // ---- seconds of work: active while the page is before somebody who does something, else idle ------------------------
  const veil = byId("veil");
  const total = { today: 0 };
  let lastTick = Date.now(), lastSign = Date.now(), wasActive = false;
  const limit = () => Number(byId("task")?.dataset.idleMinutes || 5) * 60_000;
  const isHere = () => document.visibilityState === "visible" && document.hasFocus() && !veil?.open;
  for (const sign of ["keydown", "input", "pointermove", "pointerdown", "wheel", "touchmove"]) {
    document.addEventListener(sign, () => { if (!veil?.open) lastSign = Date.now(); }, { passive: true, capture: true });
  }
  function tick() {
    const now = Date.now(), passed = Math.max(0, (now - lastTick) / 1000);
    lastTick = now;
    if (it) {
      // A computer that slept did not work: more than a few seconds between two ticks are idle.
      const active = wasActive ? Math.min(passed, 5) : 0;
      it.active += active; it.idle += passed - active; total.today += active;
    }
    wasActive = isHere() && now - lastSign < limit();
    if (it?.time && isHere() && !wasActive && !document.querySelector("dialog[open]")) draw("idle");
  }
  function count(form = it?.form) {
    tick();
    const values = { visit: it?.visit, active_seconds: it?.active.toFixed(2), idle_seconds: it?.idle.toFixed(2) };
    for (const [name, value] of Object.entries(it ? values : {})) {
      let field = form.elements[name];
      if (!field) {
        field = Object.assign(document.createElement("input"), { type: "hidden", name });
        form.append(field);
      }
      field.value = value;
    }
  }
  async function ping() {
    if (!it?.time) return;
    tick();
    const body = new FormData(), its = it;
    its.pinged = its.active;
    body.append("visit", its.visit);
    body.append("active_seconds", its.active.toFixed(2));
    body.append("idle_seconds", its.idle.toFixed(2));
    try {
      if ((await post(its.time, body, { keepalive: true })).status === 401 && its === it) ask(false);
    } catch { /* the totals come again with the next draft, answer or ping */ }
  }
  setInterval(tick, 1000);
  setInterval(() => { if (it && it.active !== it.pinged) ping(); sendEarlier(); }, 60_000);
  for (const change of ["focus", "blur"]) window.addEventListener(change, tick);
  document.addEventListener("visibilitychange", () => {
    tick();
    if (document.hidden) { save({ last: true }); ping(); } else if (isUnsaved() || session?.open) go();
  });

  // ---- the idle prompt: shown after the idle limit, or drawn as a pause ---------------------------------------------------
  function draw(why) {
    if (!veil || veil.open) return;
    byId("veil-title").textContent = word(`veil.${why}.title`);
    byId("veil-text").textContent = word(`veil.${why}.text`, { minutes: Math.round(limit() / 60_000) });
    const minutes = Math.floor(total.today / 60);
    byId("veil-today").textContent = total.isKnown ? word("veil.today", { hours: Math.floor(minutes / 60), minutes: minutes % 60 }) : "";
    veil.className = `veil ${why}`;
    veil.showModal();
    tick();
  }
  function lift() {
    tick();
    lastSign = Date.now();
    veil.close();
    tick();
  }
  // The key that goes on does nothing else.
  window.addEventListener("keydown", (event) => {
    if (!veil?.open || ["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    lift();
  }, true);
  veil?.addEventListener("click", lift);
  document.addEventListener("click", (event) => { if (event.target.closest?.("#pause")) { tick(); draw("pause"); } });

  // ---- each task -------------------------------------------------------------------------------------------------------
  // Not every address is a secure context, where randomUUID would be.
  const newVisit = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  onTask((section) => {
    tick();
    const before = it, form = byId("work-form"), { assignment, savedAt, todaySeconds } = section.dataset;
    if (before) {
      clearTimeout(before.timer);
      // A refused answer stays here; one that was taken needs no copy. A conflict's copy goes to the drafts.
      if (outcome === 200) forget(before.key);
      else if (outcome === 409) { before.submitter = null; keep(before); }
    }
    if (todaySeconds) { total.today = Number(todaySeconds); total.isKnown = true; }
    it = form && {
      form, key: `${mine}${assignment}`, draft: form.dataset.draft, time: form.dataset.time,
      entered: 0, acknowledged: 0, timer: 0, tries: 0, saving: null, submitting: false, submitter: null, isKept: true,
      visit: newVisit(), active: 0, idle: 0, pinged: 0,
    };
    if (it?.draft && before && outcome === 422) {
      Object.assign(it, { visit: before.visit, active: before.active, idle: before.idle });
      changed();
    } else if (it?.draft) reconcile(Number(savedAt || 0));
    outcome = 0;
    sendEarlier();
  });
  function reconcile(savedAt) {
    const copy = kept(it.key);
    if (!copy) return;
    if (copy.at <= savedAt && !copy.submit) return forget(it.key);
    refill(it.form, copy.fields);
    it.entered++;
    say("draft.restored");
    announce(word("draft.restored"));
    if (copy.submit) {
      const [name, value] = copy.submit;
      it.submitter = name ? [...it.form.elements].find((one) => one.name === name && one.value === value) ?? byId("submit") : byId("submit");
      sayKept("submit");
    }
    // After the kind's own script has read what was put back.
    it.timer = setTimeout(go, SAVE_AFTER);
  }
})();
