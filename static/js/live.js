// A page that refreshes itself (an element with data-live and hx-get) waits while somebody fills in a form on it or has
// it in the background, and keeps what is unfolded.
(() => {
  const unfolded = (root) => [...root.querySelectorAll("details")].map((details) => details.open);

  document.addEventListener("htmx:beforeRequest", (event) => {
    const live = event.target.closest("[data-live]");
    if (!live || event.target !== live) return;
    const typing = live.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
    if (document.hidden || typing || live.querySelector("details.confirm[open]")) event.preventDefault();
  });

  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const live = event.target.matches("[data-live]") ? event.target : null;
    kept = live && { unfolded: unfolded(live), focus: document.activeElement?.id, href: document.activeElement?.href };
  });
  document.addEventListener("htmx:afterSettle", () => {
    const live = document.querySelector("[data-live]");
    if (!live || !kept) return;
    const details = [...live.querySelectorAll("details")];
    if (details.length === kept.unfolded.length) details.forEach((item, n) => { item.open = kept.unfolded[n]; });
    const before = kept.focus ? document.getElementById(kept.focus)
      : kept.href && [...live.querySelectorAll("a[href]")].find((link) => link.href === kept.href);
    if (before && document.activeElement === document.body) before.focus({ preventScroll: true });
    kept = null;
  });
})();
