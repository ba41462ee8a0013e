/* Reviewing at the speed of the keyboard: 1 2 3 decide, J K move, U undoes, H hands over.
   A decision without edits shows the next item at once and is confirmed by the server behind it; when
   the server refuses, the item comes back with what was typed and the reason. Without this file the
   same forms do the same, one page at a time. */
(() => {
  "use strict";
  const { toast, subscribe } = window.baton;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const PARTS = ["review-crumbs", "review-heading", "review-beside", "review-actions", "review-queue", "review-brief", "review-proposal", "review-decision"];
  const WAITS = new Set(["edited", "filled", "retry", "give"]);
  const DONE = { approved: "approved", edited: "approved with edits", rejected: "rejected", returned: "returned", filled: "answered", retry: "runs again", end: "ends", give: "goes on with your result" };
  const isTyping = (target) => target instanceof Element && target.closest("input:not([type=checkbox],[type=radio],[type=button],[type=submit]), textarea, select, [contenteditable=true]") !== null;

  /* ---- Pages fetched ahead: what is asked never changes, so a page stays good until it is decided ---- */
  const ahead = new Map();
  const load = (address) => {
    if (!ahead.has(address)) {
      ahead.set(address, fetch(address, { headers: { Accept: "text/html" } }).then(async (answer) => {
        if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
        return new DOMParser().parseFromString(await answer.text(), "text/html");
      }).catch((error) => { ahead.delete(address); throw error; }));
    }
    return ahead.get(address);
  };
  const current = () => $("#review-brief")?.dataset.task ?? "";
  /** The items around the open one, in the order of the queue: [previous, next, the one after]. */
  const around = () => {
    const links = $$("#review-queue [data-entry] > a"), at = links.findIndex((one) => one.closest("[data-entry]").dataset.entry === current());
    const open = (one) => one && !one.classList.contains("is-own") ? one.getAttribute("href") : null;
    if (at < 0) return [null, open(links[0]), open(links[1])];
    return [links[at - 1]?.getAttribute("href") ?? null, open(links[at + 1]), open(links[at + 2])];
  };
  const listAddress = () => $("#review-queue .segments [aria-current]")?.getAttribute("href") ?? "/reviews/";
  const nextAddress = () => { const [previous, next] = around(); return next ?? previous ?? listAddress(); };
  const fetchAhead = () => {
    const wanted = around().filter(Boolean);
    for (const address of [...ahead.keys()]) if (!wanted.includes(address)) ahead.delete(address);
    for (const address of wanted) load(address).catch(() => {});
  };

  /* ---- Showing another item in place ------------------------------------------------------------------ */
  const snapshot = () => ({ url: location.href, title: document.title, classes: $("#content").className, parts: PARTS.map((id) => document.getElementById(id)) });
  const putBack = (kept) => {
    for (const old of $$("#review-brief, #review-proposal, .brief--empty")) old.remove();
    const content = $("#content"), foot = $("#review-decision");
    kept.parts.forEach((part, index) => {
      if (!part) return;
      const here = document.getElementById(PARTS[index]);
      if (here) here.replaceWith(part); else content.insertBefore(part, foot);
    });
    content.className = kept.classes;
    document.title = kept.title;
    history.replaceState(null, "", kept.url);
  };
  const show = (page, address, { push = true } = {}) => {
    const undo = $("#review-undo");
    const content = $("#content"), fresh = $("#content", page);
    for (const old of $$("#review-brief, #review-proposal, .brief--empty")) old.remove();
    for (const id of ["review-crumbs", "review-heading", "review-beside", "review-actions", "review-decision"]) {
      const part = document.getElementById(id), other = page.getElementById(id);
      if (part && other) part.replaceWith(document.adoptNode(other));
    }
    if (!current() || !$(`[data-entry="${page.getElementById("review-brief")?.dataset.task}"]`)) { const other = page.getElementById("review-queue"); if (other) $("#review-queue")?.replaceWith(document.adoptNode(other)); }
    const foot = $("#review-decision");
    for (const part of $$("#review-brief, #review-proposal, .brief--empty", fresh)) content.insertBefore(document.adoptNode(part), foot);
    content.className = fresh.className;
    markCurrent();
    if (undo?.dataset.own) $("#review-undo")?.replaceWith(undo);
    document.title = page.title;
    if (push) history.pushState({ review: true }, "", address);
    dress();
    content.focus({ preventScroll: true });
    window.baton.enhance(content);
  };
  const markCurrent = () => {
    const queue = $("#review-queue");
    for (const one of $$("[aria-current]", queue.querySelector(".pane__head") ? queue : document)) if (one.matches(".queue__item")) one.removeAttribute("aria-current");
    const entry = $(`[data-entry="${current()}"] > a`, queue);
    entry?.setAttribute("aria-current", "true");
    entry?.scrollIntoView({ block: "nearest" });
    if (current()) queue.dataset.source = queue.dataset.source.replace(/&current=.*$/, "") + `&current=${current()}`;
  };
  const open = async (address, options) => {
    try { const page = await load(address); ahead.delete(address); show(page, address, options); } catch { location.assign(address); }
  };
  window.addEventListener("popstate", () => open(location.pathname + location.search, { push: false }));

  /* ---- Deciding ------------------------------------------------------------------------------------------ */
  const leave = (id) => { for (const entry of $$(`[data-entry="${id}"]`)) entry.remove(); };
  const natively = (form, button) => { form.dataset.native = "yes"; form.requestSubmit(button); };
  const send = (form, button) => {
    const body = new FormData(form, button);
    return fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.id !== "decide" || form.dataset.native || event.defaultPrevented) return;
    const button = event.submitter;
    if (!button?.value) { event.preventDefault(); return; }
    const choice = button.value.split(":")[0];
    const needsWords = button.closest(".pop") && !button.value.includes(":");
    const words = needsWords ? $("textarea", button.closest(".pop")) : null;
    if (words && !words.value.trim()) { event.preventDefault(); words.focus(); words.setAttribute("aria-invalid", "true"); return; }
    event.preventDefault();
    if (form.dataset.sending) return;
    form.dataset.sending = "yes";
    const id = form.action.match(/[0-9a-f-]{36}/)[0], name = $("#review-heading").textContent.trim();
    if (WAITS.has(choice)) { await decideSlowly(form, button, id, name, choice); return; }
    const answer = send(form, button);
    const kept = snapshot(), address = nextAddress();
    beginUndo(name, DONE[choice] ?? choice, null);
    leave(id);
    await open(address);
    await confirmed(answer, { kept, form, button, name, choice });
  });
  const decideSlowly = async (form, button, id, name, choice) => {
    button.classList.add("is-busy");
    let answer = null;
    try { answer = await send(form, button); } catch { /* told below */ }
    delete form.dataset.sending;
    button.classList.remove("is-busy");
    if (!answer?.headers.get("content-type")?.startsWith("application/json")) { natively(form, button); return; }
    const said = await answer.json();
    const address = nextAddress();
    beginUndo(name, DONE[choice] ?? choice, said);
    leave(id);
    await open(address);
  };
  /** Wait for the server behind an item that is already gone from the screen. */
  const confirmed = async (answer, { kept, form, button, name, choice }) => {
    const back = (text) => {
      delete form.dataset.sending;
      putBack(kept);
      endUndo();
      toast(`${name}: ${text}`, { tone: "bad", after: 15000 });
      refreshQueue();
    };
    let said = null;
    try { said = await answer; } catch { back("the server does not answer, so nothing was recorded. Try again."); return; }
    const media = said.headers.get("content-type") ?? "";
    if (said.ok && media.startsWith("application/json")) {
      const body = await said.json();
      beginUndo(name, DONE[choice] ?? choice, body);
      return;
    }
    if (media.includes("problem+json")) { back((await said.json()).detail); return; }
    putBack(kept);
    delete form.dataset.sending;
    natively(form, button);
  };

  /* ---- Undo ---------------------------------------------------------------------------------------------- */
  let undoing = null;
  const beginUndo = (name, words, said) => {
    const place = $("#review-undo");
    if (!place) return;
    place.dataset.own = "yes";
    const text = $("#undo-template").content.firstElementChild.cloneNode(true);
    $("[data-title]", text).textContent = name;
    $("[data-words]", text).textContent = words;
    const seconds = $("[data-seconds]", text);
    seconds.dataset.until = said?.effective_at ?? new Date(Date.now() + 10000).toISOString();
    seconds.textContent = "10 s";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button--s";
    button.append("Undo");
    const cap = document.createElement("kbd");
    cap.textContent = "U";
    button.append(cap);
    button.dataset.key = "u";
    button.dataset.keyLabel = "Undo the latest decision";
    button.disabled = !said;
    button.addEventListener("click", undo);
    undoing = said?.undo ?? null;
    place.replaceChildren(text, button);
    countDown();
  };
  const endUndo = () => {
    undoing = null;
    const place = $("#review-undo");
    if (place) { place.replaceChildren(); delete place.dataset.own; }
  };
  const token = () => $("[name=csrfmiddlewaretoken]")?.value ?? "";
  const undo = async () => {
    const form = $("#undo-form");
    const address = undoing ?? form?.getAttribute("action");
    if (!address) return;
    undoing = null;
    try {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams({ csrfmiddlewaretoken: token() }), headers: { Accept: "application/json" } });
      if (!answer.headers.get("content-type")?.startsWith("application/json")) { toast("It is too late to undo, or you are no longer signed in.", { tone: "bad" }); endUndo(); return; }
      const { review } = await answer.json();
      endUndo();
      toast("Undone. It is yours to decide again.");
      ahead.clear();
      await open(review);
    } catch { toast("The server does not answer; the decision stands.", { tone: "bad" }); }
  };
  document.addEventListener("submit", (event) => { if (event.target.id === "undo-form") { event.preventDefault(); undo(); } });
  const countDown = () => {
    for (const one of $$("[data-until]")) {
      const left = Math.ceil((Date.parse(one.dataset.until) - Date.now()) / 1000);
      if (left <= 0) { endUndo(); return; }
      one.textContent = `${left} s`;
    }
  };
  setInterval(countDown, 250);

  /* ---- Edits: how many fields differ from the proposal, and what they were ------------------------------- */
  const fieldsOf = (form) => [...form.elements].filter((one) => one.name && one.type !== "hidden" && one.type !== "submit" && one.type !== "file" && one.name !== "reason" && !one.name.startsWith("reason_") && !one.closest("#give-result"));
  const isChanged = (one) => one.type === "checkbox" || one.type === "radio" ? one.checked !== one.defaultChecked : one instanceof HTMLSelectElement ? [...one.options].some((option) => option.selected !== option.defaultSelected) && !(one.selectedIndex === 0 && ![...one.options].some((option) => option.defaultSelected)) : one.value !== one.defaultValue;
  const countEdits = () => {
    const form = $("#decide");
    if (!form) return;
    const boxes = new Set();
    for (const one of fieldsOf(form)) {
      const box = one.closest(".field") ?? one;
      if (isChanged(one)) boxes.add(box);
    }
    for (const box of $$(".field.is-changed", form)) if (!boxes.has(box)) { box.classList.remove("is-changed"); $(":scope > .was", box)?.remove(); }
    for (const box of boxes) if (box.classList?.contains("field")) markChanged(box);
    const files = [...form.elements].filter((one) => one.type === "file" && one.files.length).length;
    const lists = $$("[data-repeat]", form).filter((one) => { one.dataset.first ??= String($(":scope > [data-items]", one).children.length); return one.dataset.first !== String($(":scope > [data-items]", one).children.length); }).length;
    const count = boxes.size + lists + files + (form.dataset.edited !== undefined && !boxes.size ? 1 : 0);
    const words = `${count} ${count === 1 ? "edit" : "edits"}`;
    const note = $("[data-changes]", form);
    if (note) { note.hidden = !count; note.textContent = `${count} ${count === 1 ? "change" : "changes"} by you`; }
    const follower = $("[data-follows-edits][data-choice=edited]");
    if (follower) {
      const first = $("[data-choice=approved]");
      follower.classList.toggle("button--primary", count > 0);
      first?.classList.toggle("button--primary", !count);
      for (const label of $$("[data-label]", follower)) { label.dataset.plain ??= label.textContent; label.textContent = count ? (label.classList.contains("only-phone") ? `With ${words}` : `Approve with ${words}`) : label.dataset.plain; }
      for (const [name, on] of [["edited", count > 0], ["approved", !count]]) $(`[data-effect=${name}]`)?.classList.toggle("is-next", on);
    }
    const again = $("[data-follows-edits][data-choice=retry]");
    if (again) for (const label of $$("[data-label]", again)) { label.dataset.plain ??= label.textContent; label.textContent = count ? `Run again with ${words}` : label.dataset.plain; }
  };
  const markChanged = (box) => {
    if (box.classList.contains("is-changed")) return;
    const one = $("input:not([type=checkbox],[type=radio],[type=file],[type=hidden]), textarea", box);
    box.classList.add("is-changed");
    if (!one || box.querySelectorAll("input, textarea, select").length > 1) return;
    const was = document.createElement("p");
    was.className = "hint was";
    const head = document.createElement("b");
    head.textContent = "Was:";
    const value = document.createElement("span");
    value.textContent = one.defaultValue || "empty";
    const back = document.createElement("button");
    back.type = "button";
    back.className = "link";
    back.textContent = "Put back";
    back.addEventListener("click", () => { one.value = one.defaultValue; countEdits(); one.focus(); });
    was.append(head, value, back);
    box.append(was);
  };
  document.addEventListener("input", (event) => { if (event.target.form?.id === "decide") countEdits(); });
  document.addEventListener("change", (event) => { if (event.target.form?.id === "decide") countEdits(); });
  document.addEventListener("baton:given-back", countEdits);
  document.addEventListener("click", (event) => { if (event.target.closest?.("#decide :is([data-add], [data-remove])")) setTimeout(countEdits); });

  /* ---- Marks on pages and their legend -------------------------------------------------------------------- */
  const light = (element, on) => {
    const number = element?.dataset.mark, root = element?.closest("[data-document]");
    if (number && root) for (const one of $$(`[data-mark="${number}"]`, root)) one.classList.toggle("is-lit", on);
  };
  for (const [name, on] of [["pointerover", true], ["pointerout", false], ["focusin", true], ["focusout", false]]) {
    document.addEventListener(name, (event) => { if (event.target instanceof Element) light(event.target.closest("[data-mark]"), on); });
  }
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest(".legend-read a") : null;
    if (!link) return;
    event.preventDefault();
    const place = document.getElementById(link.hash.slice(1)), well = place?.closest(".paper-well");
    if (!well) return;
    const box = place.getBoundingClientRect(), frame = well.getBoundingClientRect();
    well.scrollTo({ top: well.scrollTop + box.top - frame.top - frame.height / 3 });
  });

  /* ---- Keys ------------------------------------------------------------------------------------------------ */
  const openPop = () => $("details.pop[open]");
  document.addEventListener("keydown", (event) => {
    const pop = openPop();
    if (event.key === "Escape" && pop) { event.stopPropagation(); pop.open = false; $("summary", pop).focus(); return; }
    if (!pop || event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.keys === "off" || isTyping(event.target) || !/^[1-9]$/.test(event.key)) return;
    const preset = $(`[data-preset="${event.key}"]`, pop), own = $(`[data-own-words="${event.key}"]`, pop);
    if (!preset && !own) return;
    event.preventDefault();
    event.stopPropagation();
    if (preset) preset.click(); else own.focus();
  }, true);
  document.addEventListener("toggle", (event) => {
    const pop = event.target;
    if (!(pop instanceof HTMLDetailsElement) || !pop.matches(".pop") || !pop.open) return;
    for (const other of $$("details.pop[open]")) if (other !== pop) other.open = false;
    if (pop.dataset.choice === "give") { const asked = $("#give-result"); if (asked) asked.open = true; }
    $("[data-preset], textarea, select", pop)?.focus();
  }, true);
  document.addEventListener("click", (event) => { const pop = openPop(); if (pop && !pop.contains(event.target)) pop.open = false; });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("#next-item, #previous-item, .queue__item[href]") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const [previous, next] = around();
    const fresh = { "next-item": next, "previous-item": previous }[link.id];
    open(fresh ?? link.getAttribute("href"));
  });

  /* ---- Live: the queue changes when somebody asks or decides ------------------------------------------------ */
  let waiting = null;
  const refreshQueue = () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const queue = $("#review-queue");
      if (!queue) return;
      try {
        const answer = await fetch(queue.dataset.source, { headers: { Accept: "text/html" } });
        if (!answer.ok || answer.redirected) return;
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("review-queue"), here = $("#review-queue");
        if (!fresh || !here) return;
        const at = here.scrollTop, focused = document.activeElement?.closest?.("#review-queue [data-entry]")?.dataset.entry;
        here.replaceWith(document.adoptNode(fresh));
        $("#review-queue").scrollTop = at;
        markCurrent();
        if (focused) $(`#review-queue [data-entry="${focused}"] a`)?.focus({ preventScroll: true });
        if ($(".brief--empty") && $("#review-queue .queue__item:not(.is-own)") && !document.body.dataset.stay) open(location.pathname + location.search, { push: false });
      } catch { /* the connection strip already says so */ }
      fetchAhead();
    }, 250);
  };
  subscribe("reviews", refreshQueue);

  /* ---- Times that run -------------------------------------------------------------------------------------- */
  const span = (milliseconds) => {
    const minutes = Math.max(0, Math.floor(milliseconds / 60000));
    if (minutes < 1) return "under a minute";
    if (minutes < 60) return `${minutes} min`;
    const hours = Math.floor(minutes / 60), rest = minutes % 60;
    if (hours < 24) return rest && hours < 10 ? `${hours} h ${rest} min` : `${hours} h`;
    const days = Math.floor(hours / 24);
    return days === 1 ? "1 day" : `${days} days`;
  };
  setInterval(() => {
    for (const one of $$("[data-due]")) {
      const left = Date.parse(one.dataset.due) - Date.now(), text = left > 0 ? `${span(left)} left` : `${span(-left)} late`;
      if (one.textContent !== text) one.textContent = text;
    }
  }, 15000);

  const asked = location.pathname.match(/^(.*\/[0-9a-f-]{36}\/)(decide|hand-over)\/$/);
  if (asked) history.replaceState(null, "", asked[1]);
  const dress = () => { countEdits(); setTimeout(fetchAhead, 30); };
  dress();
})();
