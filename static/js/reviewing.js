// The review page: a panel that opens takes the cursor, and Ctrl+Enter in it presses its button.
"use strict";
(() => {
  document.addEventListener("toggle", ({ target }) => {
    if (target.open && target.matches("#task .skip")) target.querySelector("textarea").focus();
  }, true);
  document.addEventListener("keydown", (event) => {
    const panel = event.target.closest?.("#task .skip-panel");
    if (!panel || event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing || event.repeat) return;
    event.preventDefault();
    panel.querySelector("button").click();
  });
})();
