// Writing and post-editing: feedback on the text (warnings, never walls; what differs from the model's text, edits and
// HTER), which comes back with each saved draft, and terms and similar texts to insert.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const { word } = konomi;

  // ---- feedback: computed by the server (annotation/reference/feedback.py), so that it counts as the submission does ----
  let resting = true, isComposing = false;
  const feedback = {
    // Asked for with a draft. While somebody types, what is not written yet is not reported missing.
    ask(body) { if (byId("checks")) body.set("feedback", resting ? "resting" : "typing"); },
    show(html) {
      if (isComposing || !byId("checks")) return;  // an input method's unfinished word is no edit yet
      const answer = document.createElement("template");
      answer.innerHTML = html;
      const part = (selector) => answer.content.querySelector(selector);
      showWarnings([...answer.content.querySelectorAll("#checks li")].map((row) => row.textContent));
      if (byId("edits") && part("#edits")) byId("edits").textContent = part("#edits").textContent;
      if (byId("diff") && part("#diff")) byId("diff").replaceChildren(...part("#diff").childNodes);
    },
  };
  // Only what is new is put in, so that a live region says nothing twice.
  function showWarnings(sentences) {
    const list = document.querySelector("#checks ul");
    for (const row of [...list.children]) if (!sentences.includes(row.textContent)) row.remove();
    const present = [...list.children].map((row) => row.textContent);
    for (const text of sentences) {
      if (present.includes(text)) continue;
      const row = document.createElement("li");
      row.textContent = text;
      list.append(row);
    }
    list.hidden = !sentences.length;
  }

  // ---- the editor -------------------------------------------------------------------------------------------------------
  function grow(editor) {
    if (CSS.supports("field-sizing", "content")) return;
    editor.style.height = "auto";
    editor.style.height = `${editor.scrollHeight + 2}px`;
  }
  function typed(editor) {
    resting = false;
    grow(editor);
    showReset(editor);
  }
  function showReset(editor) {
    if (byId("reset")) byId("reset").hidden = editor.value === byId("original").textContent;
  }
  const isEditor = (event) => event.target.id === "text";
  document.addEventListener("input", (event) => { if (isEditor(event)) typed(event.target); });
  document.addEventListener("compositionstart", (event) => { if (isEditor(event)) isComposing = true; });
  document.addEventListener("compositionend", (event) => {
    if (!isEditor(event)) return;
    isComposing = false;
    konomi.changed();
  });
  document.addEventListener("focusout", (event) => {
    if (!isEditor(event) || resting) return;
    resting = true;
    isComposing = false;
    konomi.changed();  // the text is checked as a whole now
  });

  // Typed for the person, so that the browser's own undo takes it back.
  function put(text, whole = false) {
    const editor = byId("text");
    const untouched = editor.dataset.touched === undefined;
    editor.focus();
    if (whole) editor.select();
    else if (untouched) editor.setSelectionRange(editor.value.length, editor.value.length);
    if (text ? document.execCommand("insertText", false, text) : document.execCommand("delete")) return;
    editor.setRangeText(text, editor.selectionStart, editor.selectionEnd, "end");
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  }
  document.addEventListener("focusin", (event) => { if (event.target.id === "text") event.target.dataset.touched = ""; });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#reset")) return put(byId("original").textContent, true);
    const button = event.target.closest?.("#reference [data-insert]");
    if (button) {
      put((byId(button.dataset.insert) ?? button).textContent);
      konomi.announce(word("reference.inserted"));
    }
    const link = event.target.closest?.("#reference-link");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      (document.querySelector("#reference [data-insert]") ?? byId("reference")).focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    const button = event.target.closest?.("#reference [data-insert]"), step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!button || !step || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...document.querySelectorAll("#reference [data-insert]")];
    event.preventDefault();
    all[(all.indexOf(button) + step + all.length) % all.length].focus();
  });

  async function loadReference() {
    const place = byId("reference"), url = byId("reference-link")?.href;
    if (!place || !url) return;
    let html = null;
    try {
      const answer = await fetch(url, { headers: { "HX-Request": "true" } });
      if (answer.ok && !answer.headers.has("HX-Redirect")) html = await answer.text();
    } catch { /* reported below */ }
    if (!place.isConnected) return;  // the next task is here already
    if (html === null) place.textContent = word("reference.failed");
    else place.innerHTML = html;
    place.removeAttribute("aria-busy");
  }

  konomi.feedback = feedback;
  konomi.onTask(() => {
    resting = true;
    isComposing = false;
    if (byId("text")) {
      grow(byId("text"));
      showReset(byId("text"));
    }
    loadReference();
  });
})();
