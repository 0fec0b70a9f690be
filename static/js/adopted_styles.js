// Bokeh gives each of its parts (a shadow root) its styles as <style> elements, which our policy refuses. Adopted
// style sheets say the same and need no exception. Loaded before Bokeh, on pages with charts alone.
(() => {
  const { append } = DocumentFragment.prototype;

  function adopt(root, style) {
    const sheet = new CSSStyleSheet();
    let text = style.textContent;
    sheet.replaceSync(text);
    Object.defineProperty(style, "textContent", {
      get: () => text,
      set: (css) => { text = css; sheet.replaceSync(css); },
    });
    style.remove = () => { root.adoptedStyleSheets = root.adoptedStyleSheets.filter((one) => one !== sheet); };
    style.adopt = () => { style.remove(); root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]; };
  }

  ShadowRoot.prototype.append = function (...nodes) {
    for (const node of nodes) {
      if (node instanceof HTMLStyleElement) {
        if (!node.adopt) adopt(this, node);
        node.adopt();
      } else append.call(this, node);
    }
  };
})();
