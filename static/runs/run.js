/* The run page around the graph: the pane of the open step, dialogs, growing durations.
   Every part refreshes itself by htmx; without this file its links and forms still work as pages. */
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  /* ---- The open step ------------------------------------------------------------------------------ */
  const pane = () => $("#run-step");
  let open = null;
  const markRow = (step) => {
    if (!step) return;
    for (const row of $$("[data-row]")) {
      const isOpen = row.dataset.row === step;
      row.classList.toggle("is-selected", isOpen);
      const link = $("a", row);
      if (isOpen) link?.setAttribute("aria-current", "true"); else link?.removeAttribute("aria-current");
    }
  };
  const showStep = async (step, focus) => {
    const at = pane();
    if (!at || !step) return;
    open = step;
    const address = new URL(at.getAttribute("hx-get"), location.href);
    address.searchParams.set("step", step);
    address.searchParams.set("tab", at.dataset.tab || "result");
    markRow(step);
    await window.htmx.ajax("GET", address.pathname + address.search, { target: "#run-step", swap: "outerMorph" });
    if (!focus) return;
    $("#step-title")?.focus({ preventScroll: false });
  };
  document.addEventListener("baton:step", (event) => { void showStep(event.detail.step, event.detail.focus); });
  document.addEventListener("htmx:after:swap", () => {
    const { follow, step } = pane()?.dataset ?? {};
    if (!open && follow && step) document.dispatchEvent(new CustomEvent("baton:follow", { detail: { step } }));
    markRow(open ?? step);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || $("dialog[open]") || !pane()?.contains(event.target)) return;
    document.dispatchEvent(new CustomEvent("baton:close-step"));
  });

  /* ---- Dialogs ------------------------------------------------------------------------------------- */
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-dialog]");
    const dialog = link && document.getElementById(link.dataset.dialog);
    if (dialog && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      const form = $("form[data-retry]", dialog);
      if (form) form.action = link.href;
      dialog.showModal();
      const reason = $("textarea", dialog);
      reason?.focus();
      reason?.select();
    }
    event.target.closest?.("[data-close-dialog]")?.closest("dialog").close();
    const copier = event.target.closest?.("[data-copy-link]");
    if (copier) void copyLink(copier.dataset.copyLink);
  });
  const copyLink = async (address) => {
    try {
      await navigator.clipboard.writeText(address);
      window.baton?.toast("Link copied", { after: 1500 });
    } catch { window.baton?.toast("The browser does not allow copying here.", { tone: "bad" }); }
  };

  /* ---- Durations that grow -------------------------------------------------------------------------- */
  const words = (seconds) => {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const index = units.findIndex(([size]) => seconds >= size);
    const [size, name] = units[index], [next, nextName] = units[index + 1];
    const rest = Math.floor((seconds % size) / next);
    return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${nextName}` : ""}`;
  };
  setInterval(() => {
    for (const one of $$("[data-since]")) {
      const text = words((Date.now() - Date.parse(one.dataset.since)) / 1000);
      if (one.textContent !== text) one.textContent = text;
    }
  }, 1000);

  /* ---- Commands of the palette ------------------------------------------------------------------------ */
  const offer = () => window.baton?.addCommands($$("#run-actions a[data-dialog]").map((link) => ({ title: `${link.textContent.trim()} this run`.replace("run this run", "this run"), run: () => link.click() })));
  if (window.baton) offer(); else window.addEventListener("baton:ready", offer, { once: true });
})();
