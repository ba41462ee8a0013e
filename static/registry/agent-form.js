/* The form of an agent version: editors over its documents, examples as forms of the contracts, and what
   the server says of it while it is typed. Without this file it is a plain form with JSON in text areas. */
import "../web/contract-table.js";
import { countRows, whyNoTable } from "../web/contract-document.js";
import "./decision-table.js";

/** Payloads with more fields than this are shown as JSON first: a form of them fills pages. */
const FEW = 16;

const form = document.querySelector("[data-agent-form]");
const $ = (selector, root = form) => root.querySelector(selector);
const $$ = (selector, root = form) => [...root.querySelectorAll(selector)];
const contractOf = (side) => document.getElementById(`agent.${side}`);

const later = (run, wait) => {
  let timer = null;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => run(...given), wait); };
};

/** Post a form to the server; null when it cannot be asked now. */
async function ask(address, body) {
  body.set("csrfmiddlewaretoken", $("[name=csrfmiddlewaretoken]").value);
  try {
    const answer = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
    return answer.ok ? await answer.json() : null;
  } catch { return null; }
}

/* ---- One side of an example: a form of the contract, JSON one click away ---------------------------- */

class ExampleForm extends HTMLElement {
  connectedCallback() {
    if (this.area) return;
    this.area = this.querySelector("textarea");
    this.toggle = document.createElement("button");
    Object.assign(this.toggle, { type: "button", className: "button button--s button--quiet" });
    this.toggle.addEventListener("click", () => (this.fields.hidden ? this.showForm() : this.showJson()));
    this.fields = document.createElement("div");
    this.fields.className = "example-form__fields form__group";
    this.fields.hidden = true;
    this.append(this.fields, this.toggle);
    this.name();
    this.typed = this.taken = 0;
    this.fields.addEventListener("change", (event) => { event.stopPropagation(); this.typed += 1; this.read(); });
    this.fields.addEventListener("input", (event) => { event.stopPropagation(); this.typed += 1; });
    this.fields.addEventListener("click", (event) => { if (event.target.closest("[data-remove], [data-add]")) queueMicrotask(() => { this.typed += 1; this.read(); }); });
    const schema = this.contract?.value;
    if (schema && (whyNoTable(schema) || countRows(schema) <= FEW)) this.showForm(false);
  }

  get contract() { return contractOf(this.dataset.side); }

  /** Whether something stands in the fields that the JSON does not say yet. */
  get isAhead() { return !this.fields.hidden && this.typed !== this.taken; }

  name() {
    const words = this.fields.hidden ? "As a form" : "As JSON";
    this.toggle.textContent = words;
    this.toggle.setAttribute("aria-label", `${words}: ${this.closest("[role=group]")?.getAttribute("aria-label") ?? "example"}, ${this.dataset.side}`);
  }

  /** Draw the form of the contract with what the JSON says; what is no JSON stays as it is. */
  async showForm(isAsked = true) {
    const contract = this.contract?.value;
    if (!contract || !Object.keys(contract.properties ?? {}).length) { this.showJson(); if (isAsked) window.baton.toast("The contract has no fields yet.", { tone: "bad" }); return; }
    const mine = this.drawn = (this.drawn ?? 0) + 1;
    let answer, seen;
    do {
      if (this.isAhead && !(await this.read())) return;
      seen = this.typed;
      const body = new FormData();
      body.set("schema", JSON.stringify(contract));
      body.set("prefix", this.dataset.prefix);
      body.set("value", this.area.value);
      answer = await ask(form.dataset.example, body);
      if (mine !== this.drawn) return;
    } while (answer && seen !== this.typed);
    if (!answer) { this.showJson(); if (isAsked) window.baton.toast("This cannot be shown as a form: look at the contract and at the JSON.", { tone: "bad" }); return; }
    const held = this.fields.contains(document.activeElement) ? document.activeElement.name : "";
    this.fields.innerHTML = answer.html;
    window.baton.enhance(this.fields);
    this.fields.hidden = false;
    this.area.hidden = true;
    this.name();
    if (held) this.fields.querySelector(`[name="${CSS.escape(held)}"]`)?.focus();
  }

  showJson() {
    this.fields.hidden = true;
    this.fields.replaceChildren();
    this.area.hidden = false;
    this.name();
  }

  /** Read the fields back into the JSON that is sent, and say what breaks the contract; false when it was not read. */
  async read() {
    const seen = this.typed, body = new FormData();
    for (const field of this.fields.querySelectorAll("input, select, textarea")) {
      if (!field.name || field.type === "file" || ((field.type === "checkbox" || field.type === "radio") && !field.checked)) continue;
      body.append(field.name, field.value);
    }
    body.set("schema", JSON.stringify(this.contract.value));
    body.set("prefix", this.dataset.prefix);
    body.set("read", "1");
    const answer = await ask(form.dataset.example, body);
    if (!answer || seen < this.taken) return Boolean(answer);
    this.taken = seen;
    const isEmpty = this.dataset.side === "output" && !Object.keys(answer.value ?? {}).length;
    this.area.value = isEmpty ? "" : JSON.stringify(answer.value, null, 2);
    for (const one of this.fields.querySelectorAll("[data-live-error]")) one.remove();
    for (const one of isEmpty ? [] : answer.violations) {
      const control = this.fields.querySelector(`[name="${CSS.escape(one.field)}"]`) ?? document.getElementById(one.field);
      complain(control ?? this.fields, one.reason, "error");
    }
    check();
    return true;
  }
}
customElements.define("example-form", ExampleForm);

/* ---- What the server says of the form ----------------------------------------------------------------- */

/** Say something beside a field; `severity` is error or warning. */
function complain(control, reason, severity) {
  const holder = control.closest(".field") ?? control.closest("fieldset") ?? control;
  const line = document.createElement("p");
  line.className = severity === "error" ? "hint hint--bad" : "hint hint--caution";
  line.dataset.liveError = "";
  line.textContent = reason;
  holder.append(line);
}

/** The field that asks for a place, or the nearest one around it. */
function fieldAt(name) {
  for (let parts = name.split("."); parts.length > 1; parts = parts.slice(0, -1)) {
    const id = parts.join(".");
    const found = document.getElementById(id) ?? form.querySelector(`[name="${CSS.escape(id)}"]`);
    if (found) return found;
  }
  return null;
}

const verdict = $("[data-verdict]");
let asked = 0;
const check = later(async () => {
  const mine = ++asked;
  const sent = new FormData(form);
  for (const name of [...sent.keys()]) if (name.includes(".as.") || name.endsWith(".as")) sent.delete(name);
  const answer = await ask(form.dataset.check, sent);
  if (!answer || mine !== asked) return;
  for (const one of $$("[data-live-error]")) if (!one.closest("example-form")) one.remove();
  const errors = answer.remarks.filter((one) => one.severity === "error");
  for (const table of $$("decision-table")) table.remarks = answer.remarks.filter((one) => one.path.startsWith("/config"));
  for (const one of answer.remarks) {
    if (one.path.startsWith("/config") && $("decision-table")) continue;
    const field = fieldAt(one.field);
    if (field && field.tagName !== "FORM" && touched.has(topOf(one.field))) complain(field, one.reason, one.severity);
  }
  const warnings = answer.remarks.length - errors.length;
  verdict.className = `small state tone-${errors.length ? (touched.size ? "bad" : "idle") : warnings ? "caution" : "good"}`;
  verdict.textContent = errors.length ? `${errors.length} ${errors.length === 1 ? "thing is" : "things are"} still missing or wrong` : warnings ? `It works; ${warnings} ${warnings === 1 ? "warning" : "warnings"}` : "It works as it stands";
  showTools(answer.tools);
  showPreview(answer);
}, 350);

/** Nobody is told off for what he has not come to yet: only parts that were touched are commented. */
const touched = new Set();
const topOf = (name) => name.split(".").slice(0, 2).join(".");
const touch = (name) => { if (name) touched.add(topOf(name)); };

function showTools(tools) {
  const words = { none: "no side effect", read: "reads only", write: "changes things", irreversible: "cannot be undone" };
  $("[data-tools]").textContent = tools.length
    ? `It reaches ${tools.map((one) => `${one.name} (${one.scopes.join(", ")}: ${words[one.side_effect]})`).join(", ")}. Tools follow from how it works.`
    : "It reaches nothing outside itself.";
}

function showPreview({ placeholders, preview, why_no_preview: why }) {
  const box = $("[data-preview]");
  if (!box) return;
  box.hidden = false;
  $("[data-placeholders]", box).replaceChildren(...placeholders.map((name) => {
    const chip = document.createElement("code");
    chip.className = "badge badge--plain";
    chip.textContent = `{${name}}`;
    return chip;
  }));
  $("[data-preview-text]", box).textContent = preview ?? (why ? `No preview: ${why}` : "It is shown when the form is complete.");
}

/* ---- Wiring ------------------------------------------------------------------------------------------------ */

const redraw = later(() => { for (const one of $$("example-form")) if (!one.fields.hidden || !one.area.value.trim()) one.showForm(false); }, 400);

form.addEventListener("input", (event) => { touch(event.target.name); check(); });
form.addEventListener("change", (event) => {
  touch(event.target.name ?? "");
  if (event.target.localName === "contract-table") { tellTable(); redraw(); }
  check();
});
form.addEventListener("click", (event) => { if (event.target.closest("[data-add], [data-remove]")) queueMicrotask(check); });

/** The decision table picks fields of the contracts. */
function tellTable() {
  for (const table of $$("decision-table")) Object.assign(table, { takes: contractOf("input").value, gives: contractOf("output").value });
}

/** The address is proposed from the name until somebody writes his own. */
const name = document.getElementById("agent.name"), slug = document.getElementById("agent.slug");
if (name && slug) {
  let isOwn = slug.value !== "";
  slug.addEventListener("input", () => { isOwn = slug.value !== ""; });
  const propose = () => {
    if (isOwn) return;
    slug.value = name.value.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 63);
  };
  name.addEventListener("input", propose);
  propose();
}

/** What was typed last is read before it is sent. When the server cannot be asked, it is sent as it is: it says so itself. */
form.addEventListener("submit", async (event) => {
  const ahead = $$("example-form").filter((one) => one.isAhead);
  if (!ahead.length || form.dataset.readFirst) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  await Promise.all(ahead.map((one) => one.read()));
  form.dataset.readFirst = "done";
  form.requestSubmit(event.submitter);
  delete form.dataset.readFirst;
}, { capture: true });

form.addEventListener("baton:given-back", () => { tellTable(); check(); });
tellTable();
check();
