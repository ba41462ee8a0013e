/* What every page does in the browser: live connection, palette, shortcuts, menus, dialogs, toasts,
   relative times, and keeping what was typed when a session has ended. Other scripts use `window.baton`.
   Without this file every page still reads, signs in, decides and exports. */
(() => {
  "use strict";
  const page = document.body.dataset;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const setCookie = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  /* ---- Toasts and the confirm dialog ------------------------------------------------------------- */
  const toasts = $("#toasts");
  const fade = (toast, after = 8000) => {
    let timer = setTimeout(() => toast.remove(), after);
    toast.addEventListener("pointerenter", () => clearTimeout(timer));
    toast.addEventListener("focusin", () => clearTimeout(timer));
    toast.addEventListener("pointerleave", () => { timer = setTimeout(() => toast.remove(), 4000); });
  };
  /** Say what happened. `tone` is "good" or "bad"; `action` is {label, key, run}. Returns the toast. */
  const toast = (text, { tone = "good", action = null, after = 8000 } = {}) => {
    const made = $("#toast-template").content.firstElementChild.cloneNode(true);
    $("[data-text]", made).textContent = text;
    if (tone === "bad") {
      made.classList.add("toast--bad");
      $("[data-good]", made).hidden = true;
      $("[data-bad]", made).hidden = false;
    }
    if (action) {
      const button = $("[data-action]", made);
      button.hidden = false;
      button.textContent = action.label;
      if (action.key) {
        const key = document.createElement("kbd");
        key.className = "key";
        key.textContent = action.key;
        button.append(key);
      }
      button.addEventListener("click", () => { made.remove(); action.run(); });
    }
    toasts.append(made);
    fade(made, after);
    return made;
  };
  $$("[data-toast]", toasts).forEach((one) => fade(one));

  /** Ask before something that cannot be taken back; resolves to true or false. */
  const confirm = ({ title, text = "", verb }) => new Promise((resolve) => {
    const dialog = $("#confirm");
    $("#confirm-title").textContent = title;
    $("#confirm-text").textContent = text;
    $("[data-confirm-yes]", dialog).textContent = verb;
    dialog.returnValue = "cancel";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
    dialog.showModal();
    $("[data-confirm-no]", dialog).focus();
  });
  document.addEventListener("submit", async (event) => {
    const asked = event.submitter?.dataset.confirm ? event.submitter : event.target;
    if (!asked.dataset?.confirm || asked.dataset.confirmed === "yes") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const { confirm: title, confirmText: text, confirmVerb: verb } = asked.dataset;
    if (!await confirm({ title, text, verb: verb || "Go on" })) return;
    asked.dataset.confirmed = "yes";
    event.target.requestSubmit(event.submitter);
    delete asked.dataset.confirmed;
  }, true);

  /* ---- Clicks that many places share --------------------------------------------------------------- */
  const openDialog = (id) => { const dialog = $(id); if (dialog && !dialog.open) dialog.showModal(); };
  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest?.(selector);
    if (at("[data-toast-close]")) at("[data-toast]").remove();
    if (at("[data-open-palette]")) openPalette();
    if (at("[data-open-shortcuts]")) openShortcuts();
    if (at("[data-confirm-yes]")) $("#confirm").close("ok");
    if (at("[data-confirm-no]")) $("#confirm").close("cancel");
    const opener = at("[data-open-dialog]");
    if (opener) openDialog(`#${opener.dataset.openDialog}`);
    const copier = at("[data-copy]");
    if (copier) copy(copier);
    const theme = at("[data-theme-form] button");
    if (theme) { event.preventDefault(); setTheme(theme.value); }
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (event.target instanceof HTMLDialogElement && event.target.dataset.keep === undefined) {
      const box = event.target.getBoundingClientRect();
      const outside = event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
      if (outside) event.target.close("cancel");
    }
  });
  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      const before = [...button.childNodes];
      button.replaceChildren($("#copied-template").content.cloneNode(true));
      setTimeout(() => button.replaceChildren(...before), 1500);
      toast("Copied", { after: 1500 });
    } catch { toast("The browser does not allow copying here.", { tone: "bad" }); }
  };
  const setTheme = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    setCookie("baton_theme", theme);
    $$("[data-theme-form] button").forEach((one) => one.setAttribute("aria-pressed", String(one.value === theme)));
    window.dispatchEvent(new CustomEvent("baton:theme", { detail: theme }));
  };

  /* ---- Keys --------------------------------------------------------------------------------------- */
  const ownKeys = new Map();
  const singleKeys = () => page.keys !== "off";
  /** Bind a single key on this page: `key("a", "Approve", run)`. It is listed on the shortcut sheet. */
  const key = (name, label, run) => { ownKeys.set(name.toLowerCase(), { name, label, run }); return () => ownKeys.delete(name.toLowerCase()); };
  const isTyping = (target) => target instanceof Element && target.closest("input:not([type=checkbox],[type=radio],[type=button],[type=submit]), textarea, select, [contenteditable=true]") !== null;
  const pressed = (element) => {
    if (element.matches("input, textarea, select")) { element.focus(); element.select?.(); } else element.click();
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.key === "Escape") {
      const menu = event.target instanceof Element ? event.target.closest("details.menu[open]") ?? $("details.menu[open]") : null;
      if (menu) { menu.open = false; $("summary", menu).focus(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !singleKeys() || isTyping(event.target) || $("dialog[open]")) return;
    if (event.key === "?") { event.preventDefault(); openShortcuts(); return; }
    const own = ownKeys.get(event.key.toLowerCase());
    const marked = $$("[data-key]").find((one) => one.dataset.key.toLowerCase() === event.key.toLowerCase() && one.checkVisibility?.() !== false);
    if (own) { event.preventDefault(); own.run(event); }
    else if (marked) { event.preventDefault(); pressed(marked); }
    else if (event.key === "/") { const search = $("[data-list-search]"); if (search) { event.preventDefault(); pressed(search); } }
  });
  const nameOf = (element) => element.dataset.keyLabel || element.getAttribute("aria-label") || [...element.childNodes].filter((one) => !(one instanceof Element && one.matches("kbd, svg"))).map((one) => one.textContent).join(" ").trim();
  const openShortcuts = () => {
    const sheet = $("#shortcuts");
    if (!sheet || sheet.open) return;
    const list = $("[data-key-list]", sheet);
    $$("[data-found]", list).forEach((one) => one.remove());
    const found = [...ownKeys.values()].map((one) => [one.name, one.label]);
    for (const one of $$("[data-key]")) if (one.checkVisibility?.() !== false) found.push([one.dataset.key, nameOf(one)]);
    for (const [name, label] of found) {
      const line = document.createElement("div");
      line.dataset.found = "";
      const term = document.createElement("dt");
      term.textContent = label;
      const value = document.createElement("dd");
      const cap = document.createElement("kbd");
      cap.textContent = name.length === 1 ? name.toUpperCase() : name;
      value.append(cap);
      line.append(term, value);
      list.append(line);
    }
    sheet.showModal();
  };

  /* ---- The palette ---------------------------------------------------------------------------------- */
  const commands = [];
  /** Add commands of this page to the palette: [{title, note, keys, group, run}]. Returns a remover. */
  const addCommands = (added) => { commands.push(...added); return () => added.forEach((one) => commands.splice(commands.indexOf(one), 1)); };
  class Palette extends HTMLElement {
    connectedCallback() {
      this.input = $("input", this);
      this.results = $("[role=listbox]", this);
      this.count = $("[data-count]", this);
      this.cache = new Map();
      this.input.addEventListener("input", () => this.show());
      this.input.addEventListener("keydown", (event) => this.onKey(event));
      this.results.addEventListener("click", (event) => { const item = event.target.closest("[role=option]"); if (item) this.run(item); });
      this.results.addEventListener("pointermove", (event) => { const item = event.target.closest("[role=option]"); if (item) this.select(item, false); });
    }
    open() { this.input.value = ""; this.cache.clear(); this.show(); this.input.focus(); }
    async show() {
      const text = this.input.value.trim();
      const own = commands.filter((one) => matches(one.title, text)).map((one) => ({ group: "On this page", icon: "zap", ...one }));
      if (this.cache.has(text)) { this.draw([...own, ...this.cache.get(text)]); return; }
      if (own.length) this.draw(own);
      this.abort?.abort();
      this.abort = new AbortController();
      try {
        const answer = await fetch(`${this.dataset.source}?${new URLSearchParams({ q: text })}`, { headers: { Accept: "application/json" }, signal: this.abort.signal });
        if (answer.status === 401) { location.reload(); return; }
        const { results } = await answer.json();
        this.cache.set(text, results);
        if (this.input.value.trim() === text) this.draw([...own, ...results]);
      } catch (error) { if (error.name !== "AbortError") this.count.textContent = "The server does not answer."; }
    }
    draw(found) {
      this.found = found;
      const groups = new Map();
      found.forEach((one, index) => { const group = groups.get(one.group) ?? []; group.push([one, index]); groups.set(one.group, group); });
      const nodes = [];
      for (const [name, members] of groups) {
        const group = document.createElement("div");
        group.setAttribute("role", "group");
        group.setAttribute("aria-label", name);
        const head = document.createElement("div");
        head.className = "palette__group";
        head.setAttribute("aria-hidden", "true");
        head.textContent = name;
        group.append(head, ...members.map(([one, index]) => this.item(one, index)));
        nodes.push(group);
      }
      this.results.replaceChildren(...nodes);
      this.count.textContent = found.length ? `${found.length} ${found.length === 1 ? "result" : "results"}` : "Nothing found. Try a name, an id or a verb such as start.";
      const first = $("[role=option]", this.results);
      if (first) this.select(first); else this.input.removeAttribute("aria-activedescendant");
    }
    item(one, index) {
      const item = document.createElement("div");
      item.className = "palette__item";
      item.setAttribute("role", "option");
      item.id = `palette-${index}`;
      item.dataset.index = String(index);
      item.append(icon(one.icon || "right"), document.createTextNode(one.title));
      if (one.note || one.keys) { const note = document.createElement("small"); note.textContent = [one.note, one.keys].filter(Boolean).join("  "); item.append(note); }
      return item;
    }
    select(item, scroll = true) {
      $$("[aria-selected=true]", this.results).forEach((one) => one.setAttribute("aria-selected", "false"));
      item.setAttribute("aria-selected", "true");
      this.input.setAttribute("aria-activedescendant", item.id);
      if (scroll) item.scrollIntoView({ block: "nearest" });
    }
    onKey(event) {
      const items = $$("[role=option]", this.results);
      const at = items.findIndex((one) => one.getAttribute("aria-selected") === "true");
      const move = { ArrowDown: at + 1, ArrowUp: at - 1, Home: event.ctrlKey ? 0 : null, End: event.ctrlKey ? items.length - 1 : null }[event.key];
      if (move !== undefined && move !== null && items.length) { event.preventDefault(); this.select(items[(move + items.length) % items.length]); }
      if (event.key === "Enter" && items[at]) { event.preventDefault(); this.run(items[at]); }
    }
    run(item) {
      const chosen = this.found[Number(item.dataset.index)];
      $("#palette").close();
      if (chosen.run) chosen.run();
      else location.assign(chosen.url);
    }
  }
  const matches = (title, text) => text.toLowerCase().split(/\s+/).every((word) => title.toLowerCase().includes(word));
  const sprite = (() => { const use = $("svg use[href*='icons']"); return use ? use.getAttribute("href").split("#")[0] : "/static/web/icons.svg"; })();
  /** Make an icon of the sprite. */
  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `${sprite}#i-${name}`);
    svg.append(use);
    return svg;
  };
  if (!customElements.get("baton-palette")) customElements.define("baton-palette", Palette);
  const openPalette = () => {
    const dialog = $("#palette");
    if (!dialog || dialog.open || $("dialog[open]:not(#palette)")) return;
    dialog.showModal();
    $("baton-palette", dialog).open();
  };

  /* ---- Live: hints by topic; what they mean is fetched from the server -------------------------------- */
  const topics = new Map();
  let socket = null, tries = 0, lostAt = null, retryAt = null, retryTimer = null, latest = new Date(), stopped = false;
  const dot = $("#live-dot"), lost = $("#connection-lost");
  const showLive = (state) => {
    if (!dot) return;
    dot.classList.toggle("is-waiting", state === "waiting");
    dot.classList.toggle("is-lost", state === "lost");
    $("[data-live-word]", dot).textContent = { live: "Live", waiting: "Connecting", lost: "Not updating" }[state];
    lost.hidden = state !== "lost";
  };
  const drawLost = () => {
    if (lostAt === null || !lost) return;
    const clock = latest.toLocaleTimeString("en-GB");
    const since = Math.max(0, Math.round((Date.now() - lostAt) / 1000));
    $("[data-lost-title]", lost).textContent = `Connection lost ${since} s ago.`;
    const wait = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    $("[data-lost-text]", lost).textContent = `What you see is from ${clock}. ${wait ? `Trying again in ${wait} s` : "Trying again now"}; what you typed is kept here.`;
  };
  setInterval(drawLost, 1000);
  const tell = (topic, detail) => {
    for (const run of topics.get(topic) ?? []) run(detail);
    document.body.dispatchEvent(new CustomEvent(`live-${topic.split(":")[0]}`, { detail }));
  };
  const connect = () => {
    if (!page.live || socket || !topics.size) return;
    retryAt = null;
    const address = new URL(page.live, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const made = socket = new WebSocket(address);
    made.addEventListener("open", () => {
      const again = lostAt !== null;
      tries = 0; lostAt = null;
      for (const topic of topics.keys()) made.send(JSON.stringify({ subscribe: topic }));
      showLive("live");
      if (again) for (const topic of topics.keys()) tell(topic, { topic, seq: null, reconnected: true });
    });
    made.addEventListener("message", (event) => {
      latest = new Date();
      heard = Date.now();
      const message = JSON.parse(event.data);
      if (message.topic && !message.error) tell(message.topic, message);
    });
    made.addEventListener("close", (event) => {
      if (socket !== made) return;
      socket = null;
      if (stopped) return;
      if (event.code === 4401) { showLive("waiting"); return; }
      lostAt ??= Date.now();
      const wait = Math.min(8000, 500 * 2 ** tries++) * (0.8 + Math.random() * 0.4);
      retryAt = Date.now() + wait;
      clearTimeout(retryTimer);
      retryTimer = setTimeout(connect, wait);
      if (tries > 1 || event.code !== 1001) setTimeout(() => { if (lostAt !== null) { showLive("lost"); drawLost(); } }, 700);
    });
  };
  /* A connection that is dead without saying so: asked every 5 s, given up 2 s after no answer. */
  let heard = 0;
  setInterval(() => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    const asked = Date.now(), made = socket;
    made.send(JSON.stringify({ ping: 1 }));
    setTimeout(() => { if (socket === made && heard < asked) made.close(4000); }, 2000);
  }, 5000);
  /** Hear hints of a topic (`run:<id>`, `runs`, `reviews`, `audit`): run({topic, seq, reconnected}). */
  const subscribe = (topic, run) => {
    const first = !topics.has(topic);
    topics.set(topic, [...(topics.get(topic) ?? []), run]);
    if (socket?.readyState === WebSocket.OPEN) { if (first) socket.send(JSON.stringify({ subscribe: topic })); } else connect();
    return () => topics.set(topic, (topics.get(topic) ?? []).filter((one) => one !== run));
  };
  $("[data-lost-retry]")?.addEventListener("click", () => { clearTimeout(retryTimer); tries = 0; connect(); });
  window.addEventListener("online", () => { clearTimeout(retryTimer); connect(); });
  window.addEventListener("offline", () => { lostAt ??= Date.now(); socket?.close(); showLive("lost"); drawLost(); });
  window.addEventListener("pagehide", () => { stopped = true; socket?.close(); socket = null; });
  window.addEventListener("pageshow", (event) => { if (event.persisted) { stopped = false; connect(); } });

  let badgeTimer = null, badgesAt = 0;
  const refreshBadges = () => {
    if (badgeTimer) return;
    badgeTimer = setTimeout(async () => {
      badgeTimer = null;
      badgesAt = Date.now();
      try {
        const answer = await fetch("/badges/", { headers: { Accept: "application/json" } });
        if (!answer.ok) return;
        const { badges } = await answer.json();
        for (const one of $$("[data-badge]")) {
          const badge = badges[one.dataset.badge];
          one.hidden = !badge;
          one.textContent = badge ? String(badge.number) : "";
          one.className = badge ? `count tone-${badge.tone}` : "count";
          one.title = badge ? badge.words : "";
        }
      } catch { /* the connection strip already says so */ }
    }, Math.max(50, 2000 - (Date.now() - badgesAt)));
  };
  if (page.live) { subscribe("runs", refreshBadges); subscribe("reviews", refreshBadges); }

  /* ---- Times that stay right ----------------------------------------------------------------------------- */
  const relative = (then, now) => {
    const seconds = (now - then) / 1000, past = seconds >= 0, size = Math.abs(seconds);
    if (size < 10) return past ? "now" : "in a moment";
    for (const [limit, unit, name] of [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"]]) {
      if (size < limit) { const amount = `${Math.floor(size / unit)} ${name}`; return past ? `${amount} ago` : `in ${amount}`; }
    }
    return null;
  };
  setInterval(() => {
    const now = Date.now();
    for (const one of $$("time[data-relative]")) { const text = relative(Date.parse(one.dateTime), now); if (text && text !== one.textContent) one.textContent = text; }
  }, 1000);

  /* ---- Error summaries, file fields, repeated fields -------------------------------------------------------- */
  const enhance = (root) => {
    $("[data-error-summary]", root)?.focus();
    for (const field of $$("[data-file]", root)) enhanceFile(field);
    for (const list of $$("[data-repeat]", root)) enhanceRepeat(list);
    for (const area of $$("[data-subscribe]", root)) subscribeOnce(area);
    for (const here of $$(".settings__nav > [aria-current], .tabs > [aria-current], .segments > [aria-current]", root)) bringIntoSight(here);
  };
  /** Scroll a row that is wider than its place, and nothing else, so that what is current can be seen. */
  const bringIntoSight = (here) => {
    const row = here.parentElement;
    if (row.scrollWidth <= row.clientWidth) return;
    const [own, place] = [here.getBoundingClientRect(), row.getBoundingClientRect()];
    row.scrollLeft += own.left - place.left - (place.width - own.width) / 2;
  };
  const enhanceFile = (field) => {
    if (field.dataset.ready) return;
    field.dataset.ready = "yes";
    const input = $("input[type=file]", field), limit = Number(field.dataset.maxBytes || 0), says = $("[data-file-says]", field);
    const check = () => {
      const file = input.files[0];
      const tooLarge = file && limit && file.size > limit;
      input.setCustomValidity(tooLarge ? `${file.name} has ${(file.size / 1e6).toFixed(1)} MB; at most ${(limit / 1e6).toFixed(0)} MB are accepted.` : "");
      if (says) says.textContent = tooLarge ? input.validationMessage : "";
    };
    input.addEventListener("change", check);
    field.addEventListener("dragover", (event) => { event.preventDefault(); field.classList.add("is-over"); });
    field.addEventListener("dragleave", () => field.classList.remove("is-over"));
    field.addEventListener("drop", (event) => { event.preventDefault(); field.classList.remove("is-over"); if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; check(); } });
  };
  document.addEventListener("submit", (event) => {
    const tooLarge = [...event.target.elements].find((one) => one.type === "file" && one.validity.customError);
    if (!tooLarge) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    tooLarge.focus();
  }, true);
  const enhanceRepeat = (list) => {
    if (list.dataset.ready) return;
    list.dataset.ready = "yes";
    const template = $(":scope > template", list), items = $(":scope > [data-items]", list), add = $(":scope > .form__foot [data-add]", list);
    if (!template || !add) return;
    add.hidden = false;
    let next = Number(list.dataset.next);
    const limit = Number(list.dataset.max || Infinity);
    const check = () => { add.disabled = items.children.length >= limit; };
    add.addEventListener("click", (event) => {
      event.preventDefault();
      const html = template.innerHTML.replaceAll(list.dataset.mark, String(next++));
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const made = holder.content.firstElementChild;
      items.append(made);
      enhance(made);
      $("input, select, textarea", made)?.focus();
      check();
    });
    items.addEventListener("click", (event) => {
      const remove = event.target.closest("[data-remove]");
      if (!remove || remove.closest("[data-items]") !== items) return;
      event.preventDefault();
      remove.closest("[data-item]").remove();
      add.focus();
      check();
    });
    check();
  };
  const subscribeOnce = (area) => {
    if (area.dataset.subscribed) return;
    area.dataset.subscribed = "yes";
    for (const topic of area.dataset.subscribe.split(" ")) subscribe(topic, (detail) => area.dispatchEvent(new CustomEvent("live", { detail, bubbles: false })));
  };
  document.addEventListener("htmx:after:process", (event) => enhance(event.target instanceof Element ? event.target : document));
  document.addEventListener("htmx:after:swap", () => enhance(document));

  /* ---- A session that ends in the middle of a form: what was typed comes back -------------------------------- */
  const KEPT = "baton-kept:", isSignIn = page.signIn !== undefined;
  const store = window.sessionStorage;
  const keptKeys = () => Object.keys(store).filter((name) => name.startsWith(KEPT));
  const read = (name) => { try { return JSON.parse(store.getItem(name)); } catch { return null; } };
  const fieldsOf = (form) => [...new FormData(form)].filter(([name, value]) => typeof value === "string" && name !== "csrfmiddlewaretoken" && !form.elements[name]?.matches?.("[type=password], [data-never-keep]"));
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !(form instanceof HTMLFormElement) || !form.dataset.keep || !form.id) return;
    try { store.setItem(`${KEPT}${location.pathname}#${form.id}`, JSON.stringify({ person: page.person, fields: fieldsOf(form), sent: true })); } catch { /* full or forbidden: nothing to keep it in */ }
  });
  const settleKept = () => {
    for (const name of keptKeys()) {
      const entry = read(name);
      if (entry === null) { store.removeItem(name); continue; }
      if (isSignIn || page.bounced !== undefined) { if (entry.sent) store.setItem(name, JSON.stringify({ ...entry, sent: false, bounced: true })); continue; }
      const [path, id] = name.slice(KEPT.length).split("#");
      if (entry.bounced && path === location.pathname) { const form = document.getElementById(id); if (form && entry.person === page.person) giveBack(form, entry); store.removeItem(name); continue; }
      if (entry.sent) store.removeItem(name);
    }
  };
  const giveBack = (form, entry) => {
    const values = new Map();
    for (const [name, value] of entry.fields) values.set(name, [...(values.get(name) ?? []), value]);
    for (const list of $$("[data-repeat]", form)) {
      const add = $(":scope > .form__foot [data-add]", list), prefix = list.dataset.repeat;
      const wanted = new Set([...values.keys()].filter((one) => one.startsWith(`${prefix}.`)).map((one) => one.slice(prefix.length + 1).split(".")[0]).filter((one) => /^\d+$/.test(one)));
      const items = $(":scope > [data-items]", list);
      while (items && items.children.length < wanted.size && add && !add.disabled) add.click();
    }
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden" || field.type === "file" || field.type === "password") continue;
      const given = values.get(field.name) ?? [];
      if (field.type === "checkbox" || field.type === "radio") field.checked = given.includes(field.value);
      else if (given.length) field.value = given.shift();
    }
    const notice = document.createElement("div");
    notice.className = "banner tone-caution";
    notice.setAttribute("role", "status");
    notice.dataset.givenBack = "";
    const text = document.createElement("span");
    text.textContent = "You were signed out before this was sent, so nothing happened yet. What you typed is back; choose files again, check it and send it.";
    notice.append(text);
    form.prepend(notice);
    form.dispatchEvent(new CustomEvent("baton:given-back", { bubbles: true }));
    notice.tabIndex = -1;
    notice.focus();
  };
  document.addEventListener("submit", (event) => { if (event.target.getAttribute("action") === "/accounts/logout/") keptKeys().forEach((name) => store.removeItem(name)); });

  window.baton = { toast, confirm, key, addCommands, subscribe, icon, openPalette, openShortcuts, setTheme, enhance };
  enhance(document);
  settleKept();
  window.dispatchEvent(new Event("baton:ready"));
})();
