"use strict";
(() => {
  const HEIGHT = 80, AROUND = 6;
  const find = (id) => document.getElementById(id);
  const index = JSON.parse(find("index").textContent);
  const chunks = [...document.querySelectorAll("script.chunk")];
  const list = find("list"), rows = find("rows"), detail = find("detail"), count = find("count");
  const browser = document.querySelector(".browser");
  const filters = ["method", "persona", "action", "outcome"];
  const size = chunks.length ? JSON.parse(chunks[0].textContent).length : 1;
  const parsed = new Map();
  let texts = null, shown = index.map((_, i) => i), active = -1, sideBySide = false, searching = 0;

  // Every text enters the page through textContent, never as markup.
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") node.textContent = value;
      else if (name === "click") node.addEventListener("click", value);
      else node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  function body(i) {
    const number = Math.floor(i / size);
    if (!parsed.has(number)) {
      if (parsed.size > 20) parsed.delete(parsed.keys().next().value);
      parsed.set(number, JSON.parse(chunks[number].textContent));
    }
    return parsed.get(number)[i % size];
  }

  // The filters.
  for (const name of filters) {
    const values = [...new Set(index.map((one) => one[name]))].filter(Boolean).sort();
    find(`by-${name}`).append(...values.map((value) => make("option", { value, text: value })));
    find(`by-${name}`).addEventListener("change", () => refine());
  }
  let timer = 0;
  find("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(refine, 120);
  });
  document.querySelector(".filters").addEventListener("reset", () => setTimeout(refine));
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());

  async function readTexts(mine) {
    texts = texts || [];
    for (let number = Math.ceil(texts.length / size); number < chunks.length; number++) {
      for (const one of JSON.parse(chunks[number].textContent)) {
        const said = one.messages.map((message) => message.text);
        for (const group of one.groups) for (const branch of group.branches) said.push(...branch.messages.map((m) => m.text));
        const head = index[texts.length];
        texts.push([head.task, head.method, head.persona, ...new Set(said)].join("\n").toLowerCase());
      }
      if (number % 8 === 7) {
        count.textContent = `Reading conversations: ${texts.length} of ${index.length}`;
        await new Promise((resume) => setTimeout(resume));
        if (mine !== searching) return false;
      }
    }
    return true;
  }

  async function refine() {
    const mine = ++searching;
    const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && (!texts || texts.length < index.length) && !(await readTexts(mine))) return;
    const wanted = filters.map((name) => [name, find(`by-${name}`).value]).filter(([, value]) => value);
    const chosen = active >= 0 ? shown[active] : -1;
    shown = [];
    index.forEach((one, i) => {
      if (wanted.every(([name, value]) => one[name] === value) && words.every((word) => texts[i].includes(word))) shown.push(i);
    });
    active = shown.indexOf(chosen);
    list.scrollTop = 0;
    draw();
  }

  // The list: only what is in view exists.
  function draw() {
    rows.style.height = `${shown.length * HEIGHT}px`;
    count.textContent = `${shown.length} of ${index.length} conversations`;
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - AROUND);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + AROUND);
    const drawn = [];
    for (let place = first; place < last; place++) drawn.push(row(place));
    rows.replaceChildren(...drawn);
    if (active >= first && active < last) list.setAttribute("aria-activedescendant", `row-${active}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function row(place) {
    const one = index[shown[place]];
    const reward = one.reward === null ? "" : ` · reward ${one.reward.toFixed(2)}`;
    const node = make("div", {
      class: "row", role: "option", id: `row-${place}`, "aria-selected": place === active ? "true" : "false",
      "aria-setsize": shown.length, "aria-posinset": place + 1, click: () => { choose(place); open(); },
    },
      make("b", { text: one.text || one.task }),
      make("span", { text: [one.method, one.persona, one.action].filter(Boolean).join(" · ") }),
      make("span", {}, make("i", { class: one.outcome === "solved" ? "solved" : one.outcome === "not solved" ? "not" : null, text: one.outcome }), `${reward} · ${one.task}`));
    node.style.top = `${place * HEIGHT}px`;
    return node;
  }

  function choose(place) {
    if (!shown.length) return;
    active = Math.max(0, Math.min(shown.length - 1, place));
    const top = active * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
    show();
  }

  function open() {
    detail.focus({ preventScroll: true });
    if (detail.getBoundingClientRect().top > innerHeight * 0.6 || sideBySide) detail.scrollIntoView({ block: "start" });
  }

  // The chosen conversation.
  function show() {
    const i = shown[active], head = index[i], one = body(i);
    history.replaceState(null, "", `#c=${encodeURIComponent(head.id)}`);
    browser.classList.toggle("compare", sideBySide);
    const branching = one.groups.some((group) => group.branches.length > 1);
    detail.replaceChildren(
      make("h3", { text: head.task }),
      make("p", { class: "note", text: [head.method, head.persona, head.action, head.outcome].filter(Boolean).join(" · ") }),
      make("div", { class: "tools" },
        branching ? make("button", { type: "button", id: "side", "aria-pressed": String(sideBySide), text: sideBySide ? "Show the conversation" : `Compare ${head.branches} branches`, click: toggle }) : null),
      ...(sideBySide && branching ? one.groups.flatMap(group) : [...one.messages.map(message), ...one.groups.flatMap((g) => g.branches.filter((b) => b.branch === "mainline").map(parts)), metrics(one)]));
  }

  function toggle() {
    sideBySide = !sideBySide;
    show();
    const button = find("side");
    if (button) button.focus();
  }

  function group(one) {
    const totals = one.branches.map((branch) => branch.total).filter((total) => typeof total === "number");
    const top = totals.length > 1 ? Math.max(...totals) : null;
    return [
      make("h4", { text: `Decision at turn ${one.turn}` }),
      make("div", { class: "branches" }, ...one.branches.map((branch) => make("section", { class: `branch${branch.total === top && top !== null ? " top-reward" : ""}` },
        make("h4", { text: `${branch.branch}: ${branch.action}` }),
        branch.p_clarify === null ? null : make("p", { class: "note", text: `The policy’s probability of asking: ${branch.p_clarify}` }),
        parts(branch), ...branch.messages.map(message)))),
    ];
  }

  const minus = (value) => String(value).replace("-", "−");
  const fixed = (value) => (typeof value === "number" ? minus(value.toFixed(3)) : "–");

  function parts(branch) {
    if (branch.total === undefined) return null;
    const line = (cells, kind) => make("tr", { class: kind }, make("th", { scope: "row", text: cells[0] }), ...cells.slice(1).map((cell) => make("td", { class: "num", text: cell })));
    const addends = branch.parts.filter(([name, amount]) => amount !== 0 || name === "task score");
    const lines = addends.length
      ? addends.map(([name, amount, weight, adds]) => line([name.replace("n_", "").replace(/_/g, " "), amount === null ? "–" : String(+amount.toFixed(3)), `× ${minus(+weight.toFixed(4))}`, fixed(adds)]))
      : [line(["task score", "", "", fixed(branch.task_score)]), line(["interruption cost", "", "", fixed(-branch.cost)])];
    return make("table", { class: "parts" },
      make("caption", { class: "note", text: `Reward of ${branch.branch} (${branch.action}), ${branch.status}, spec ${branch.spec}` }),
      make("tbody", {}, ...lines, line(["reward", "", "", fixed(branch.total)], "sum")));
  }

  function metrics(one) {
    const known = Object.entries(one.metrics).filter(([, value]) => value !== null);
    return make("details", {}, make("summary", { text: `All ${known.length} metrics of this conversation` }),
      make("table", { class: "parts" }, make("tbody", {}, ...known.map(([name, value]) =>
        make("tr", {}, make("th", { scope: "row", text: name.replace(/_/g, " ") }), make("td", { class: "num", text: String(+value.toFixed(4)) }))))),
      one.missing.length ? make("p", { class: "note", text: `Missing: ${one.missing.join(", ").replace(/_/g, " ")}` }) : null);
  }

  function message(one) {
    const pieces = one.text.split(/^```[^\n]*$/m);
    const closed = pieces.length % 2 === 1 ? pieces : [one.text];
    return make("div", { class: `message ${one.role === "assistant" ? "assistant" : "user"}` }, make("h4", { text: one.role }),
      ...closed.map((piece, place) => [piece.replace(/^\n+|\n+$/g, ""), place % 2 === 1])
        .filter(([piece]) => piece).map(([piece, code]) => make(code ? "pre" : "p", { text: piece })));
  }

  // Keys, colours, and the address.
  list.addEventListener("scroll", draw, { passive: true });
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / HEIGHT) - 1);
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: shown.length - 1 };
    if (event.key in moves) { choose(moves[event.key]); event.preventDefault(); }
    else if (event.key === "Enter") { if (active < 0) choose(0); open(); event.preventDefault(); }
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !typing) { find("search").focus(); event.preventDefault(); }
    else if (event.key === "b" && !typing && active >= 0 && find("side")) toggle();
    else if (event.key === "Escape" && (detail.contains(event.target) || event.target === find("search"))) list.focus();
  });
  const theme = find("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  function paint(on) {
    document.documentElement.dataset.theme = on ? "dark" : "light";
    theme.setAttribute("aria-pressed", String(on));
    theme.textContent = on ? "Light" : "Dark";
  }
  theme.addEventListener("click", () => paint(document.documentElement.dataset.theme !== "dark"));
  dark.addEventListener("change", () => paint(dark.matches));
  paint(dark.matches);
  addEventListener("resize", draw);
  draw();
  const asked = /^#c=(.*)$/.exec(location.hash);
  if (asked) {
    const place = index.findIndex((one) => one.id === decodeURIComponent(asked[1]));
    if (place >= 0) { choose(place); open(); }
  }
})();
