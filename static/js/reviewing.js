// The review page: which verdict a submission means, and its two panels. A panel that opens closes the other and takes
// the cursor; while one is open, Ctrl+Enter presses its button and Enter accepts nothing.
"use strict";
(() => {
  const panel = () => document.querySelector("#task .skip[open]");
  document.addEventListener("toggle", ({ target }) => {
    if (!target.open || !target.matches("#task .skip")) return;
    // Not by a shared name: a panel that comes open with a swap would be closed, since the one before it is still there.
    for (const other of document.querySelectorAll("#task .skip[open]")) other.open = other === target;
    target.querySelector("textarea").focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !panel()) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      if (!event.repeat) panel().querySelector("button").click();
    } else if (!event.target.closest("textarea, button, summary, a")) event.preventDefault();
  }, true);
  // htmx knows the button that was clicked, but not the one that a script submits with.
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    const submitter = detail.triggeringEvent?.submitter;
    if (detail.elt.id === "work-form" && submitter?.name) detail.parameters[submitter.name] = submitter.value;
  });
})();
