// Writing and post-editing: the difference to the model's text with its edits and HTER, checks while typing (warnings,
// never walls), and terms and similar texts to insert.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const { word } = konomi;
  const base = (language) => language.split(/[-_]/)[0].toLowerCase();

  // ---- tokens and distance: as annotation/text/edit_distance.py has them, so that the page's figures are the server's --------------
  const WORD = /[\p{L}\p{N}\p{M}_]+(?:['’][\p{L}\p{N}\p{M}_]+)*|[^\s\x1c-\x1f\x85]/gu;
  const CHARACTER = /[^\s\x1c-\x1f\x85]\p{M}*/gu;
  // A letter with its accents is one letter, however it is composed.
  function tokens(text, by) {
    return Array.from(text.matchAll(by === "characters" ? CHARACTER : WORD), (found) => ({ text: found[0].normalize("NFC"), at: found.index, end: found.index + found[0].length }));
  }
  // What is shown of a script without spaces goes by the browser's words; counted it is by characters.
  function shownTokens(text, by, language) {
    if (by !== "characters" || !("Segmenter" in Intl)) return tokens(text, by);
    return [...new Intl.Segmenter(language, { granularity: "word" }).segment(text)]
      .filter((part) => part.segment.trim()).map((part) => ({ text: part.segment.normalize("NFC"), at: part.index, end: part.index + part.segment.length }));
  }

  const CELLS = 8_000_000;  // about a tenth of a second; what differs more is not compared while somebody types
  // Levenshtein by tokens within a band that is widened until it holds (Ukkonen 1985): {count, steps}, or null when the
  // texts are too long and too different. A step is "same", "put" (another token), "del" or "ins".
  function align(a, b) {
    let start = 0, n = a.length, m = b.length;
    while (start < n && start < m && a[start].text === b[start].text) start++;
    while (n > start && m > start && a[n - 1].text === b[m - 1].text) { n--; m--; }
    const tail = a.length - n;
    n -= start; m -= start;
    const middle = narrow(a.slice(start, start + n).map((one) => one.text), b.slice(start, start + m).map((one) => one.text));
    if (!middle) return null;
    return { count: middle.count, steps: [...Array(start).fill("same"), ...middle.steps, ...Array(tail).fill("same")] };
  }
  function narrow(a, b) {
    const n = a.length, m = b.length;
    if (!n || !m) return { count: n + m, steps: [...Array(n).fill("del"), ...Array(m).fill("ins")] };
    for (let band = Math.abs(n - m) + 16; ; band *= 2) {
      const left = Math.min(band, n), width = left + Math.min(band, m) + 1;  // the columns i - left … i + right
      if ((n + 1) * width > CELLS) return null;
      const ways = new Uint8Array((n + 1) * width), far = n + m + 1;
      let above = new Int32Array(width + 1).fill(far), row = new Int32Array(width + 1).fill(far);
      for (let i = 0; i <= n; i++) {
        row.fill(far);
        for (let c = Math.max(0, left - i), j = i - left + c; c < width && j <= m; c++, j++) {
          let cost = far, way = 0;
          if (!i && !j) cost = 0;
          if (i && j) { const same = a[i - 1] === b[j - 1]; cost = above[c] + (same ? 0 : 1); way = same ? 0 : 1; }
          if (i && above[c + 1] + 1 < cost) { cost = above[c + 1] + 1; way = 2; }
          if (j && c && row[c - 1] + 1 < cost) { cost = row[c - 1] + 1; way = 3; }
          row[c] = cost;
          ways[i * width + c] = way;
        }
        [above, row] = [row, above];
      }
      const count = above[m - n + left];
      if (count > band && (band < n || band < m)) continue;  // a way outside of the band might be shorter
      const steps = [];
      for (let i = n, j = m; i || j;) {
        const way = ways[i * width + j - i + left];
        if (!i || way === 3) { steps.push("ins"); j--; } else if (!j || way === 2) { steps.push("del"); i--; } else { steps.push(way ? "put" : "same"); i--; j--; }
      }
      return { count, steps: steps.reverse() };
    }
  }
  // As Python rounds a percentage: halves to the even neighbour.
  function percent(count, length) {
    const exact = (count / Math.max(length, 1)) * 100, whole = Math.floor(exact), over = exact - whole;
    return over > 0.5 || (over === 0.5 && whole % 2) ? whole + 1 : whole;
  }
  // What it takes to come from the one to the other: {count, rate, parts}, or null when it is too much to compare.
  function compare(original, edited, by, language) {
    const before = tokens(original, by), after = tokens(edited, by), found = align(before, after);
    if (!found) return null;
    const shown = by !== "characters" ? parts(original, edited, before, after, found.steps) : shownParts(original, edited, by, language);
    return { count: found.count, rate: percent(found.count, after.length), parts: shown };
  }
  function shownParts(original, edited, by, language) {
    const before = shownTokens(original, by, language), after = shownTokens(edited, by, language), found = align(before, after);
    return found && parts(original, edited, before, after, found.steps);
  }

  // ---- the difference, shown ------------------------------------------------------------------------------------------
  function parts(original, edited, before, after, steps) {  // [["" | "del" | "ins", text], …]
    const all = [];
    let gone = "", come = "", i = 0, j = 0, endA = 0, endB = 0;
    const flush = () => {
      const blanks = /^\s*/.exec(come)[0];  // those before what came stand in the text; the others went with what went
      all.push(["", blanks], ["del", come ? gone.trimStart() : gone], ["ins", come.slice(blanks.length)]);
      gone = come = "";
    };
    for (const step of steps) {
      if (step === "same") flush();
      if (step === "del" || step === "put") gone += original.slice(endA, before[i].end);
      if (step === "ins" || step === "put") come += edited.slice(endB, after[j].end);
      if (step === "same") all.push(["", edited.slice(endB, after[j].end)]);
      if (step !== "ins") endA = before[i++].end;
      if (step !== "del") endB = after[j++].end;
    }
    flush();
    all.push(["", edited.slice(endB)]);
    return all.filter(([, text]) => text);
  }
  function showDifference() {
    const editor = byId("text"), box = byId("diff");
    if (!box || !editor) return;
    const original = byId("original").textContent, by = editor.dataset.tokens;
    byId("reset").hidden = editor.value === original;
    const counted = compare(original, editor.value, by, editor.lang);
    box.replaceChildren(...(counted?.parts ?? []).map(([tag, text]) => {
      const node = tag ? document.createElement(tag) : document.createTextNode(text);
      node.textContent = text;
      return node;
    }));
    let said = word("edits.toolong");
    if (counted) said = counted.count ? word(`edits.${by}`, { edits: konomi.count("edits", counted.count), rate: counted.rate }) : word("edits.none");
    byId("edits").textContent = said;
  }

  // ---- checks: pure, [[name, values], …]; a clean pair has none --------------------------------------------------------
  const PLACEHOLDER = /\{\{[^{}]*\}\}|\$?\{\w*\}|%(?:\d+\$|\(\w+\))?[sdif](?![a-z])|<\/?[a-z][^<>]*>|https?:\/\/[\w.~:/?#[\]@!$&*+,;=%-]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+/giu;
  const placeholders = (text) => Array.from(text.matchAll(PLACEHOLDER), (found) => found[0].replace(/[.,;:!?]+$/, ""));
  const UNITS = { 万: 1e4, 萬: 1e4, 億: 1e8, 亿: 1e8, 兆: 1e12, thousand: 1e3, million: 1e6, billion: 1e9, 千: 1e3, 百: 100 };
  const NUMBER = /(\d{1,3}(?:[,.'’\u00a0\u202f ]\d{3})+(?!\d)|\d+)([.,]\d+)?(?:\s?(万|萬|億|亿|兆|千|百|thousand|million|billion))?/giu;
  const NAMES = "zero one two three four five six seven eight nine ten eleven twelve".split(" ");
  const ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(" ");
  const KANJI = { 〇: 0, 零: 0, 一: 1, 二: 2, 両: 2, 两: 2, 三: 3, 四: 4, 五: 5, 六: 6, 七: 7, 八: 8, 九: 9 };
  const KANJI_UNITS = { 十: 10, 百: 100, 千: 1000 };
  function kanjiValue(run) {
    if (!/[十百千万億兆]/.test(run)) return Number([...run].map((sign) => KANJI[sign]).join(""));
    let all = 0, part = 0, digit = null;
    for (const sign of run) {
      if (sign in KANJI) digit = (digit ?? 0) * 10 + KANJI[sign];
      else if (sign in KANJI_UNITS) { part += (digit ?? 1) * KANJI_UNITS[sign]; digit = null; }
      else { all += (part + (digit ?? 0) || 1) * UNITS[sign]; part = 0; digit = null; }
    }
    return all + part + (digit ?? 0);
  }
  // Each number with the forms it may take: its digits, its value and its value in units.
  function numbers(text) {
    return Array.from(text.matchAll(NUMBER), ([whole, digits, fraction = "", unit], at) => {
      const plain = digits.replace(/\D/g, ""), value = Number(plain + fraction.replace(",", "."));
      const forms = new Set([String(Number(plain + fraction.replace(/\D/g, ""))), String(value)]);
      if (unit) forms.add(String(Math.round(value * UNITS[unit.toLowerCase()])));
      return { whole: whole.trim(), value, forms, at };
    });
  }
  function otherNumbers(text) {  // those written in words or in kanji
    const found = (text.match(/[〇零一二両两三四五六七八九十百千万億兆]+/g) ?? []).map((run) => String(kanjiValue(run)));
    for (const one of text.toLowerCase().match(/[a-z]+/g) ?? []) {
      const at = Math.max(NAMES.indexOf(one), ORDINALS.indexOf(one));
      if (at >= 0) found.push(String(at));
    }
    return found;
  }
  function missingNumbers(source, target, to) {
    const there = new Set(otherNumbers(target)), oClock = (text) => text.replace(/(\d):00\b/g, "$1");
    if (/半|half/i.test(target)) there.add("30");
    for (const one of numbers(oClock(target))) for (const form of one.forms) there.add(form);
    // Small numbers are words in good prose; those of English, Japanese and Chinese are known here.
    const named = !["en", "ja", "zh"].includes(to);
    const noon = /p\.?m\b|午後|下午/i.test(source + target), text = oClock(source).replace(/24\s*\/\s*7|\b[123](?:st|nd|rd|th)\b/g, " ");
    const missing = numbers(text).filter((one) => {
      if ([...one.forms].some((form) => there.has(form))) return false;
      if (named && one.value <= 12) return false;
      return !(noon && [one.value + 12, one.value - 12].some((hour) => hour > 0 && hour < 24 && there.has(String(hour))));
    });
    return [...new Set(missing.map((one) => one.whole))];
  }

  const ENDS = { ".": "stop", "。": "stop", "．": "stop", "｡": "stop", "।": "stop", "۔": "stop", "။": "stop", "។": "stop", "?": "ask", "？": "ask", "؟": "ask", "!": "stop", "！": "stop", "…": "stop", ":": "more", "：": "more" };
  function ending(text) {  // ["stop" | "ask" | "more" | "", the sign], without what closes after it
    const bare = text.replace(/[\s"'”’」』）)\]】〉》»\p{Extended_Pictographic}\uFE0F♪☆★]+$/u, ""), sign = bare.slice(-1);
    return [ENDS[sign] ?? "", sign, bare];
  }
  const MARKLESS = ["th", "lo", "km", "my"];
  function endProblem(source, target, from, to) {
    if (MARKLESS.includes(from) || MARKLESS.includes(to)) return null;
    const [was, , asked] = ending(source), [is, sign] = ending(target);
    if (!was && !is) return null;
    if (!is && (was === "stop" || was === "ask")) return ["check.end.missing", {}];
    if (!was && is) return ["check.end.extra", { sign }];
    if ((to === "ja" || to === "zh") && /[.?!]/.test(sign) && /[\u3040-\u30ff\u3400-\u9fff]\p{P}*$/u.test(target)) return sign === "." ? ["check.end.script", { sign, right: "。" }] : null;
    if (to !== "ja" && to !== "zh" && /[。？！]/.test(sign)) return ["check.end.script", { sign, right: { "。": ".", "？": "?", "！": "!" }[sign] }];
    // Japanese asks with か。 and answers a request with a statement.
    if (was === "ask" && is === "stop" && !["ja", "ko", "zh"].includes(to)) return ["check.end.question", {}];
    if (was === "stop" && is === "ask" && !(from === "ja" && /(?:か|の|かな|かね|でしょう|ませんか|ね)[。！]?$/.test(asked))) return ["check.end.statement", {}];
    return null;
  }

  // Signs a text of the same content takes, English being 1; the project's own median, once it has one, is used instead.
  const WIDTH = { ja: 0.48, zh: 0.34, yue: 0.34, ko: 0.52, th: 0.9, he: 0.8, ar: 0.85, de: 1.15, fr: 1.15, es: 1.12, pt: 1.1, it: 1.12, ru: 1.08, el: 1.15, vi: 1.1, id: 1.1 };
  const length = (text) => [...text.replace(/\s+/g, " ").trim()].length;
  function lengthProblem(source, target, from, to, ratio) {
    const was = length(source), is = length(target), expected = was * (ratio || (WIDTH[to] ?? 1) / (WIDTH[from] ?? 1));
    if (was < 12 || !is) return null;
    const slack = 12 * (WIDTH[to] ?? 1);
    if (is > expected * 2 + slack) return ["check.long", { percent: Math.round((100 * is) / expected) }];
    if (is < expected * 0.45 - slack / 2) return ["check.short", { percent: Math.round((100 * is) / expected) }];
    return null;
  }

  const BRACKETS = [["(（", ")）"], ["[［", "]］"], ["{｛", "}｝"], ["「", "」"], ["『", "』"], ["【", "】"], ["«", "»"], ["〈", "〉"], ["《", "》"]];
  const signs = (text, some) => [...text].filter((sign) => some.includes(sign)).length;
  function bracketProblem(source, target) {
    const plain = (text) => text.replace(/[:;=]['’]?-?[()]/g, "").replace(/^\s*\w{1,3}\)/gm, "");
    const odd = BRACKETS.find(([open, close]) => signs(plain(target), open) !== signs(plain(target), close) && signs(plain(source), open) === signs(plain(source), close));
    return odd ? ["check.brackets", { pair: odd[0][0] + odd[1][0] }] : null;
  }

  const fold = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();
  function isPut(term, text) {  // an ending may differ where words have endings
    const wanted = fold(term);
    if (text.includes(wanted)) return true;
    return /^[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\s'’-]+$/u.test(wanted) && wanted.split(" ").every((one) => text.includes(one.slice(0, Math.max(3, Math.ceil(one.length * 0.7)))));
  }

  // `complete`: false while a text is being begun, so that what is not written yet is not called missing.
  // `terms`: [[source, [target, …]], …]. `translation`: false for answers, which share no numbers or length with the text.
  function check(source, target, { from = "en", to = "en", terms = [], ratio = 0, complete = true, translation = true } = {}) {
    const found = [], add = (problem) => { if (problem) found.push(problem); };
    if (!target.trim()) return found;
    if (/\S(?: {2,}|\u3000{2,})\S/.test(target) && !/\S(?: {2,}|\u3000{2,})\S/.test(source)) add(["check.spaces", {}]);
    if (complete) add(bracketProblem(translation ? source : "", target));
    if (!translation) return found;
    const same = fold(source) === fold(target);
    if (same && base(from) !== base(to) && (source.replace(PLACEHOLDER, "").match(/\p{L}/gu) ?? []).length > 3) return [["check.untranslated", {}]];
    const there = placeholders(target), wanted = placeholders(source);
    for (const one of wanted) {
      const at = there.indexOf(one);
      if (at >= 0) there.splice(at, 1);
      else if (complete) add(["check.placeholder.missing", { text: one }]);
    }
    for (const one of there) add(["check.placeholder.extra", { text: one }]);
    if (!complete) return found;
    const bare = (text) => text.normalize("NFKC").replace(PLACEHOLDER, " ");
    for (const one of missingNumbers(bare(source), bare(target), base(to))) add(["check.number", { text: one }]);
    add(endProblem(source.trim(), target.trim(), base(from), base(to)));
    add(lengthProblem(source, target, base(from), base(to), ratio));
    const folded = fold(target);
    for (const [term, ways] of terms) if (!ways.some((one) => isPut(one, folded))) add(["check.term", { term, target: ways[0] }]);
    return found;
  }

  // ---- the page of a task ---------------------------------------------------------------------------------------------
  let timer, pause, left = true, took = 0;
  const sourceText = () => [...document.querySelectorAll("#task .source .text")].pop()?.textContent ?? "";
  function termsHere() {
    return [...document.querySelectorAll("#reference .term")].map((row) => [row.dataset.term, [...row.querySelectorAll("[data-insert]")].map((button) => button.textContent)]);
  }
  function showChecks() {
    const editor = byId("text"), list = document.querySelector("#checks ul");
    if (!editor || !list) return;
    const source = sourceText(), { from, ratio, checks } = editor.dataset, to = editor.lang;
    const near = length(source) * ((WIDTH[base(to)] ?? 1) / (WIDTH[base(from)] ?? 1)) * 0.8;
    const complete = left || byId("original") !== null || length(editor.value) >= near || ending(editor.value)[0] !== "";
    const found = check(source, editor.value, { from, to, ratio: Number(byId("reference")?.dataset.ratio ?? ratio ?? 0), terms: termsHere(), complete, translation: checks === "translation" });
    const said = [...new Set(found.map(([name, values]) => word(name, values)))].slice(0, 6);
    // Only what is new is put in, so that a live region says nothing twice.
    for (const row of [...list.children]) if (!said.includes(row.textContent)) row.remove();
    const standing = [...list.children].map((row) => row.textContent);
    for (const text of said) {
      if (standing.includes(text)) continue;
      const row = document.createElement("li");
      row.textContent = text;
      list.append(row);
    }
    list.hidden = !said.length;
  }
  function timedDifference() {
    const began = performance.now();
    showDifference();
    took = performance.now() - began;
  }
  function grow(editor) {
    if (CSS.supports("field-sizing", "content")) return;
    editor.style.height = "auto";
    editor.style.height = `${editor.scrollHeight + 2}px`;
  }
  function typed(editor) {
    left = false;
    grow(editor);
    clearTimeout(timer);
    clearTimeout(pause);
    // What takes longer than a blink waits until the fingers rest.
    if (took < 12) timedDifference();
    else timer = setTimeout(timedDifference, Math.min(150 + took, 800));
    pause = setTimeout(showChecks, 900);
  }
  document.addEventListener("input", (event) => { if (event.target.id === "text" && !event.isComposing) typed(event.target); });
  document.addEventListener("compositionend", (event) => { if (event.target.id === "text") typed(event.target); });
  document.addEventListener("focusout", (event) => {
    if (event.target.id !== "text" || left) return;
    left = true;
    clearTimeout(pause);
    pause = setTimeout(showChecks, 100);
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
    } catch { /* said below */ }
    if (!place.isConnected) return;  // the next task is here already
    if (html === null) place.textContent = word("reference.failed");
    else place.innerHTML = html;
    place.dataset.ratio = place.querySelector("[data-ratio]")?.dataset.ratio ?? "";
    place.removeAttribute("aria-busy");
    showChecks();
  }

  konomi.editing = { compare, check };
  konomi.onTask(() => {
    clearTimeout(timer);
    clearTimeout(pause);
    left = true;
    if (byId("text")) grow(byId("text"));
    timedDifference();
    showChecks();
    loadReference();
  });
})();
