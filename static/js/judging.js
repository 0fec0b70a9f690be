// Scoring: a digit answers the aspect in turn and goes on to the next.
"use strict";
(() => {
  const aspects = () => [...document.querySelectorAll("#task .aspect")];
  const currentAspect = () => document.querySelector("#task .aspect.current");
  function setCurrent(aspect) {
    aspects().forEach((one) => one.classList.toggle("current", one === aspect));
  }
  function score(digit) {
    const aspect = currentAspect();
    const point = aspect?.querySelector(`input[value="${digit}"]`);
    if (!point) return false;
    point.click();
    const all = aspects();
    const next = all.slice(all.indexOf(aspect) + 1).find((one) => !one.querySelector(":checked")) ?? aspect;
    setCurrent(next);
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    return true;
  }
  document.addEventListener("focusin", (event) => {
    const aspect = event.target.closest?.(".aspect");
    if (aspect) setCurrent(aspect);
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches?.(".aspect input")) setCurrent(event.target.closest(".aspect"));
  });
  for (const digit of "123456789") konomi.key({ action: `score-${digit}`, key: digit, label: "", run: () => score(digit) });
  konomi.onTask(() => {
    const unanswered = aspects().find((one) => !one.querySelector(":checked")) ?? aspects()[0];
    if (unanswered) setCurrent(unanswered);
  });
})();
