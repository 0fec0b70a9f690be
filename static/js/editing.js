// The difference of a post-edit, live: what went, what came, and how many edits that is.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

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

  document.addEventListener("input", (event) => { if (event.target.id === "text") showDifference(); });
  konomi.onTask(showDifference);
})();
