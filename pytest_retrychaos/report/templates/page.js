"use strict";
(() => {
  const form = document.getElementById("filter");
  const items = [...document.querySelectorAll("[data-c]")];
  const tests = items.filter((item) => item.tagName === "DETAILS").length;
  const none = document.getElementById("none");
  const names = ["law", "route", "fault", "test"];
  const has = (words, word) => !word || ` ${words} `.includes(` ${word} `);
  // A browser that runs this takes what stands in a noscript for text: thousands of tests are drawn only when opened.
  const draw = (item) => {
    const body = item.querySelector("noscript");
    if (!body) return;
    lawsOf(item);
    body.outerHTML = body.textContent;
  };
  const heldIn = (item) => /<u>([A-Z0-9 ]*)<\/u>/.exec(item.querySelector("noscript").textContent)?.[1] ?? "";
  const brokenIn = (item) => [...item.querySelectorAll("summary i")].map(({ textContent }) => `!${textContent}`);
  const lawsOf = (item) => (item.laws ??= item.dataset.l ?? [...brokenIn(item), heldIn(item)].join(" "));
  // Both are asked of one cell: a test may have met the fault at another route only.
  const cellsOf = (item) => (item.cells ??= item.dataset.c.split(" ").map((cell) => cell.split(":")));
  const isIn = (item, route, fault) =>
    (!route && !fault) || cellsOf(item).some(([r, f]) => (!route || r === route) && (!fault || f === fault));
  const nameOf = (item) => (item.words ??= (item.querySelector("bdi")?.textContent ?? "").toLowerCase());

  const apply = () => {
    const [law, route, fault, test] = names.map((name) => form.elements[name].value);
    const part = test.trim().toLowerCase();
    let left = 0, findings = 0;
    for (const item of items) {
      const shows = (!law || has(lawsOf(item), law)) && isIn(item, route, fault) && (!part || nameOf(item).includes(part));
      if (item.hidden === shows) item.hidden = !shows;
      if (shows) item.tagName === "DETAILS" ? left++ : findings++;
    }
    none.hidden = left > 0 || tests === 0;
    form.elements.count.value = `${left} of ${tests} tests, ${findings} of ${items.length - tests} findings`;
  };

  // Routes and faults have numbers in this page only: a link names them.
  const wordOf = ({ name, value, selectedOptions }) => (name === "route" || name === "fault" ? selectedOptions[0].text : value);
  const choose = (field, word) => {
    const option = field.options && [...field.options].find(({ text, value }) => value && (text === word || value === word));
    field.value = option ? option.value : field.options ? "" : word;
  };

  const write = () => {
    const chosen = names.map((name) => form.elements[name]).filter((field) => field.value);
    const hash = chosen.map((field) => `${field.name}=${encodeURIComponent(wordOf(field))}`).join("&");
    history.replaceState(null, "", `#${hash}`);
    apply();
  };

  const show = (given) => {
    for (const name of names) choose(form.elements[name], given[name] ?? "");
    apply();
  };

  const read = () => {
    const hash = location.hash.slice(1);
    const target = document.getElementById(hash);
    if (target) {
      if (target.hidden) show({});
      if (target.tagName === "DETAILS") {
        draw(target);
        target.open = true;
      }
      target.scrollIntoView();
      return;
    }
    if (hash && !hash.includes("=")) return;
    show(Object.fromEntries(new URLSearchParams(hash.replaceAll("+", "%2B"))));
    if (hash) document.getElementById("tests").scrollIntoView();
  };

  form.hidden = false;
  form.addEventListener("input", write);
  form.addEventListener("reset", () => setTimeout(write));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", read);
  addEventListener("toggle", ({ target }) => draw(target), true);
  document.querySelectorAll("details.t[open]").forEach(draw);
  apply();
  if (location.hash) read();
})();
