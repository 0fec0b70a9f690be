// Drafts: what is entered is saved within a second; seconds of work are counted.
"use strict";
(() => {
  const { word } = konomi;
  const byId = (id) => document.getElementById(id);
  const form = () => byId("work-form");
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
    if (!source?.dataset.draft || !dirty) return;
    clearTimeout(timer); clearTimeout(retry);
    sending?.abort();
    renewToken();
    const control = sending = new AbortController();
    const data = new FormData(source);
    dirty = false;
    say(word("draft.saving"));
    try {
      const answer = await fetch(source.dataset.draft, { method: "POST", body: data, signal: control.signal, redirect: "manual" });
      if (answer.type === "opaqueredirect") throw new Error("signed out");
      if (!answer.ok) throw new Error(String(answer.status));
      if (form() === source && !dirty) say(word("draft.saved"));
    } catch (error) {
      if (error.name === "AbortError" || form() !== source) return;
      dirty = true;
      say(error.message === "signed out" ? "Signed out: sign in in another tab, and this is saved" : "Not saved yet: trying again", true);
      retry = setTimeout(saveDraft, 3000);
    } finally {
      if (sending === control) sending = null;
    }
  }
  function changed() {
    if (!form()?.dataset.draft) return;
    dirty = true;
    say("Not saved yet");
    clearTimeout(timer);
    timer = setTimeout(saveDraft, 500);
  }
  document.addEventListener("input", (event) => { if (form() && event.target.form === form()) changed(); });
  document.addEventListener("konomi:changed", changed);
  window.addEventListener("beforeunload", (event) => { if (dirty || sending) event.preventDefault(); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) saveDraft(); });
  document.addEventListener("submit", (event) => {
    count();
    renewToken();
    if (event.target === form() || event.target.id === "skip-form") { clearTimeout(timer); clearTimeout(retry); sending?.abort(); dirty = false; }
  }, true);

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
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, () => { dirty = true; say("Not sent: no answer from the server. Press Submit again.", true); saveDraft(); });
  }
  konomi.onTask(() => { dirty = false; active = 0; clearTimeout(timer); clearTimeout(retry); });
})();
