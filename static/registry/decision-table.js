/* <decision-table>: a decision table as rows of conditions with the answer that each gives.

   Properties: `value` (the table as stored), `takes` and `gives` (the agent's contracts), `remarks` (what the
   server says: [{path: "/config/rows/0/when/1", severity, reason}], shown at row and column). In a form it
   submits the table as JSON; a `<textarea>` inside gives the first value and is what people without script see.
   Typing never redraws a row; buttons and selects do. Alt with an arrow moves the row. */
import { parseJson, pretty } from "../web/contract-document.js";
import * as table from "./decision-document.js";

const RESULTS = { value: "gives", not_found: "not found", uncertain: "uncertain", refused: "refuses" };
const HITS = { first: "The first row that applies decides", unique: "Exactly one row may apply", collect: "All rows that apply are gathered" };
/** How long a list of choices waits for the next letter. */
const TYPING_MS = 900;
let made = 0;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((one) => one !== null && one !== undefined));
  return element;
}

const icon = (name) => { const svg = window.baton?.icon?.(name) ?? document.createElement("span"); svg.classList.add("icon--s"); return svg; };
const button = (glyph, label, run, more = {}) => make("button", { type: "button", class: "icon-button icon-button--s", "aria-label": label, title: label, onclick: run, ...more }, icon(glyph));
const options = (pairs, chosen) => pairs.map(([value, words]) => make("option", { value, selected: value === chosen }, words));

/** Name every control of a row after its new name, without redrawing what is being typed in. */
function relabel(row, label) {
  const before = row.getAttribute("aria-label");
  for (const one of [row, ...row.querySelectorAll("[aria-label]")]) one.setAttribute("aria-label", label + one.getAttribute("aria-label").slice(before.length));
  for (const one of row.querySelectorAll("[title]")) one.title = one.getAttribute("aria-label");
}

class DecisionTable extends HTMLElement {
  static formAssociated = true;
  #value = { id: "table", version: 1, hit: "first", rows: [] };
  #raw = null;
  #isJson = false;
  #takes = {};
  #gives = {};
  #remarks = [];

  constructor() { super(); this.internals = this.attachInternals(); }

  connectedCallback() {
    if (this.root) return;
    const area = this.querySelector(":scope > textarea");
    this.root = make("div", { class: "dtable" });
    for (const kind of ["change", "input"]) this.root.addEventListener(kind, (event) => event.stopPropagation());
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    this.root.addEventListener("pointerdown", () => { this.isTyping = false; });
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", this.label);
    if (area) { area.remove(); this.#take(area.value); } else this.#show();
    this.append(this.root);
  }

  get label() { return this.getAttribute("label") ?? "Decision table"; }
  get name() { return this.getAttribute("name") ?? ""; }
  get form() { return this.internals.form; }
  get value() { return this.#value; }
  set value(given) {
    if (typeof given === "string") { this.#take(given); return; }
    this.#raw = null;
    this.#value = given;
    if (this.root) this.#show();
  }

  set takes(schema) { if (JSON.stringify(schema) === JSON.stringify(this.#takes)) return; this.#takes = schema ?? {}; this.#redraw(); }
  set gives(schema) { if (JSON.stringify(schema) === JSON.stringify(this.#gives)) return; this.#gives = schema ?? {}; this.#redraw(); }
  set remarks(list) { this.#remarks = list ?? []; this.#showRemarks(); }

  focus() { this.root?.querySelector("input, select, button, textarea")?.focus(); }

  get fields() { return table.fieldsOf(this.#takes); }
  get outputs() { return Object.entries(this.#gives.properties ?? {}).map(([name, schema]) => ({ name, schema, needed: (this.#gives.required ?? []).includes(name) })); }

  #take(text) {
    const { value, error } = parseJson(text.trim() ? text : "{}");
    const isTable = !error && Array.isArray(value?.rows) && value.rows.every((row) => row && typeof row === "object" && !Array.isArray(row));
    this.#raw = isTable ? null : text;
    if (isTable) this.#value = value;
    this.#isJson = !isTable;
    if (this.root) this.#show();
  }

  #submit() { this.internals.setFormValue(this.#raw ?? JSON.stringify(this.#value)); }

  #commit(changes) {
    this.#value = { ...this.#value, ...changes };
    this.#raw = null;
    this.#submit();
    this.dispatchEvent(new CustomEvent("change", { bubbles: true, composed: true, detail: { value: this.#value } }));
  }

  #rows(rows) { this.#commit({ rows }); }

  /** Change one row, or what holds when none applies (index null). */
  #answer(index, edit) {
    if (index === null) { this.#commit({ otherwise: edit(this.#value.otherwise) }); return; }
    this.#rows(this.#value.rows.map((row, at) => (at === index ? edit(row) : row)));
  }

  /** Draw anew under the hands of whoever types: what is half typed is taken first, focus and selection stay. */
  #redraw() {
    if (!this.root || this.#isJson) return;
    const held = this.root.contains(document.activeElement) ? document.activeElement : null;
    const { place } = held?.dataset ?? {}, selected = held?.matches("input") && held.selectionStart !== null ? [held.selectionStart, held.selectionEnd] : null;
    if (selected && held.value !== held.defaultValue) held.dispatchEvent(new Event("change"));
    this.#show();
    const again = place && this.root.querySelector(`[data-place="${CSS.escape(place)}"]`);
    if (!again) return;
    again.focus();
    if (selected) again.setSelectionRange(...selected);
  }

  /** Redraw and put the focus where it belongs; `place` names a control. */
  #showAt(place) { this.#show(); this.root.querySelector(`[data-place="${CSS.escape(place)}"]`)?.focus(); }

  /** Redraw after a choice; while somebody types in a list of choices, only when he has stopped. */
  #showSoonAt(place) {
    if (!this.isTyping) { this.#showAt(place); return; }
    clearTimeout(this.waiting);
    this.pending = place;
    this.waiting = setTimeout(() => this.#showPending(), TYPING_MS);
  }

  #showPending() {
    clearTimeout(this.waiting);
    const { pending } = this;
    this.pending = null;
    if (!pending) return;
    this.#redraw();
  }

  #show() {
    this.status ??= make("p", { class: "visually-hidden", role: "status" });
    this.toggle = make("button", { type: "button", class: "button button--s button--quiet", "aria-pressed": String(this.#isJson), onclick: () => this.#switch(), "data-place": "json" }, icon("braces"), this.#isJson ? "As a table" : "As JSON");
    this.root.replaceChildren(make("div", { class: "dtable__head" }, this.#isJson ? null : this.#head(), this.toggle), this.#isJson ? this.#json() : this.#table(), this.status);
    this.#submit();
    this.#showRemarks();
  }

  #switch() {
    if (this.#isJson && this.#raw !== null) { this.area.focus(); return; }
    this.#isJson = !this.#isJson;
    this.#showAt("json");
  }

  #head() {
    const hit = make("select", { class: "input", "aria-label": "Which rows count", "data-place": "hit", onchange: () => this.#commit({ hit: hit.value }) }, ...options(Object.entries(HITS), this.#value.hit ?? "first"));
    const name = make("input", { class: "input", value: this.#value.id ?? "", maxlength: "100", "aria-label": "Name of the table", "data-place": "id", autocomplete: "off", onchange: () => this.#commit({ id: name.value.trim() }) });
    const version = make("input", { class: "input num", value: String(this.#value.version ?? 1), inputmode: "numeric", "aria-label": "Version of the table", "data-place": "version", autocomplete: "off",
      onchange: () => { const number = Number(version.value); if (Number.isInteger(number) && number >= 1) this.#commit({ version: number }); else version.value = String(this.#value.version ?? 1); } });
    const field = (label, control) => make("span", { class: "dtable__field" }, make("span", { class: "label", "aria-hidden": "true" }, label), control);
    return make("div", { class: "dtable__facts" }, field("Name", name), field("Version", version), field("Rows", hit));
  }

  #table() {
    const columns = make("div", { class: "dtable__columns", "aria-hidden": "true" }, ...["Row", "When all of these hold", "Then", ""].map((word) => make("span", {}, word)));
    const rows = make("ol", { class: "dtable__rows", "aria-label": "Rows" }, ...this.#value.rows.map((row, index) => this.#row(row, index)));
    const otherwise = this.#value.otherwise;
    const add = make("button", { type: "button", class: "button button--s", "data-place": "add", onclick: () => this.#add() }, icon("plus"), "Add a row");
    const foot = otherwise ? make("div", { class: "dtable__row dtable__row--otherwise", role: "group", "aria-label": "Otherwise" }, make("b", { class: "dtable__name" }, "Otherwise"), make("p", { class: "hint" }, "When no row applies"), this.#then(otherwise, null, "Otherwise"), make("span", { class: "dtable__buttons" }, button("trash", "Remove what holds otherwise", () => { const { otherwise: _, ...rest } = this.#value; this.#value = rest; this.#commit({}); this.#showAt("add"); })), this.#errors("otherwise")) : null;
    const addOtherwise = otherwise ? null : make("button", { type: "button", class: "button button--s button--quiet", "data-place": "add-otherwise", onclick: () => { this.#commit({ otherwise: { output: {} } }); this.#showAt("otherwise.result"); } }, "Say what holds otherwise");
    return make("div", { class: "dtable__table" }, columns, rows, foot, make("div", { class: "form__foot" }, add, addOtherwise, otherwise ? null : make("span", { class: "hint" }, "Without it, the answer is “not found” when no row applies.")));
  }

  #errors(key) { return make("ul", { class: "dtable__errors", "data-errors": key, id: `decision-errors-${key}`, hidden: true }); }

  #row(row, index) {
    const label = `Row ${row.id || index + 1}`;
    const name = make("input", { class: "input", value: row.id ?? "", maxlength: "120", "aria-label": `${label}: name`, "data-place": `${index}.id`, autocomplete: "off", onchange: () => { const id = name.value.trim(); this.#answer(index, (one) => ({ ...one, id })); relabel(name.closest("[data-row]"), `Row ${id || index + 1}`); } });
    const conditions = make("ul", { class: "dtable__conditions" }, ...(row.when ?? []).map((text, number) => this.#condition(text, index, number, label)));
    const add = make("button", { type: "button", class: "button button--s button--quiet", "aria-label": `${label}: add a condition`, "data-place": `${index}.add`, onclick: () => this.#addCondition(index) }, icon("plus"), "Condition");
    const when = make("div", { class: "dtable__when" }, (row.when ?? []).length ? conditions : make("p", { class: "hint" }, "Always applies."), add);
    const buttons = make("span", { class: "dtable__buttons" }, button("up", `${label}: move up`, () => this.#move(index, -1), { "data-place": `${index}.up` }), button("down", `${label}: move down`, () => this.#move(index, 1), { "data-place": `${index}.down` }), button("trash", `${label}: remove`, () => this.#remove(index), { "data-place": `${index}.remove` }));
    return make("li", {}, make("div", { class: "dtable__row", role: "group", "aria-label": label, "data-row": String(index) }, make("span", { class: "dtable__name" }, name), when, this.#then(row, index, label), buttons, this.#errors(String(index))));
  }

  #condition(text, index, number, rowLabel) {
    const label = `${rowLabel}, condition ${number + 1}`, place = `${index}.when.${number}`;
    const set = (changed) => this.#answer(index, (row) => ({ ...row, when: row.when.map((one, at) => (at === number ? changed : one)) }));
    const simple = this.cel?.has(place) ? null : table.readCondition(text);
    const field = simple && this.fields.find((one) => one.path === simple.field);
    const remove = button("trash", `${label}: remove`, () => { this.#answer(index, (row) => ({ ...row, when: row.when.filter((_, at) => at !== number) })); this.cel = null; this.#showAt(`${index}.add`); });
    const swap = button(simple ? "braces" : "list", simple ? `${label}: as an expression` : `${label}: as field and value`, () => this.#swap(place, simple, text, label), { "data-place": `${place}.swap` });
    const parts = simple ? this.#simple(simple, field, { label, place, set, now: () => table.readCondition(this.#value.rows[index].when[number]) ?? simple }) : [this.#expression(text, label, place, set)];
    return make("li", { class: simple ? "dtable__condition" : "dtable__condition dtable__condition--cel", "data-cell": `/config/rows/${index}/when/${number}` }, ...parts, swap, remove);
  }

  #swap(place, simple, text, label) {
    if (simple) (this.cel ??= new Set()).add(place);
    else if (!table.readCondition(text)) { this.status.textContent = `${label} is more than a field with a value, so it stays an expression.`; window.baton?.toast?.("This expression is more than a field with a value, so it stays one.", { tone: "bad" }); return; } else this.cel.delete(place);
    this.#showAt(`${place}.swap`);
  }

  #expression(text, label, place, set) {
    const input = make("input", { class: "input mono", value: text, maxlength: "2000", "aria-label": `${label}: expression`, "data-place": place, autocomplete: "off", spellcheck: "false", onchange: () => set(input.value.trim()) });
    return input;
  }

  /** `now` gives the condition as it stands: the controls may be older than the latest choice. */
  #simple(simple, field, { label, place, set, now }) {
    const known = this.fields.map((one) => [one.path, one.path]);
    if (!field) known.unshift([simple.field, `${simple.field} (not in the contract)`]);
    const write = (changes) => {
      const next = { ...now(), ...changes }, isList = Array.isArray(next.value);
      if (next.operator === "in" && !isList) next.value = [next.value];
      else if (next.operator !== "in" && isList) [next.value] = next.value;
      set(table.writeCondition(next));
    };
    const fieldSelect = make("select", { class: "input mono", "aria-label": `${label}: field`, "data-place": `${place}.field`, onchange: () => {
      const chosen = this.fields.find((one) => one.path === fieldSelect.value);
      set(table.freshCondition(chosen));
      this.#showSoonAt(`${place}.field`);
    } }, ...options(known, simple.field));
    const kinds = table.operatorsFor(field ?? { required: true, schema: {} });
    const operators = kinds.includes(simple.operator) ? kinds : [simple.operator, ...kinds];
    const operator = make("select", { class: "input", "aria-label": `${label}: operator`, "data-place": `${place}.operator`, onchange: () => {
      const next = operator.value, { value, guarded } = now();
      write({ operator: next, value: value ?? table.firstValue(field), guarded: !["has", "lacks"].includes(next) && (guarded || field?.required === false) });
      this.#showSoonAt(`${place}.operator`);
    } }, ...options(operators.map((one) => [one, table.OPERATORS[one]]), simple.operator));
    if (["has", "lacks"].includes(simple.operator)) return [fieldSelect, operator, make("span")];
    return [fieldSelect, operator, this.#valueControl(simple, field, { label, place, write })];
  }

  #valueControl(simple, field, { label, place, write }) {
    const kind = table.kindOf(field?.schema), name = `${label}: value`;
    if (simple.operator === "in") {
      const input = make("input", { class: "input", value: simple.value.join(", "), "aria-label": `${name}s, with commas`, "data-place": `${place}.value`, autocomplete: "off", onchange: () => {
        const parts = input.value.split(",").map((one) => one.trim()).filter(Boolean);
        if (parts.length) write({ value: kind === "number" ? parts.map(Number) : parts });
      } });
      return input;
    }
    if (kind === "yes_no" || (kind === "choice" && field.schema.enum.includes(simple.value))) {
      const pairs = kind === "yes_no" ? [["true", "yes"], ["false", "no"]] : field.schema.enum.map((one) => [one, one]);
      const select = make("select", { class: "input", "aria-label": name, "data-place": `${place}.value`, onchange: () => write({ value: kind === "yes_no" ? select.value === "true" : select.value }) }, ...options(pairs, String(simple.value)));
      return select;
    }
    const isNumber = kind === "number" || typeof simple.value === "number";
    const input = make("input", { class: isNumber ? "input num" : "input", value: String(simple.value), inputmode: isNumber ? "decimal" : "text", "aria-label": name, "data-place": `${place}.value`, autocomplete: "off", onchange: () => {
      const typed = input.value.trim().replaceAll(" ", "");
      if (!isNumber) { write({ value: input.value }); return; }
      if (/^-?\d+(\.\d+)?$/.test(typed)) { write({ value: Number(typed) }); input.removeAttribute("aria-invalid"); } else input.setAttribute("aria-invalid", "true");
    } });
    return input;
  }

  /** The right side of a row: what it gives, or why not. */
  #then(answer, index, label) {
    const key = index === null ? "otherwise" : String(index);
    const result = make("select", { class: "input", "aria-label": `${label}: result`, "data-place": `${key}.result`, onchange: () => {
      this.#answer(index, (one) => {
        const { reason, reason_code: code, ...rest } = one;
        const why = result.value === "value" ? {} : { reason: reason ?? "", reason_code: code ?? "rule_applies" };
        return { ...rest, ...why, result: result.value };
      });
      this.#showSoonAt(`${key}.result`);
    } }, ...options(Object.entries(RESULTS), answer.result ?? "value"));
    const outputs = this.outputs, given = answer.output ?? {};
    const unknown = Object.keys(given).filter((name) => !outputs.some((one) => one.name === name)).map((name) => ({ name, schema: {}, needed: false, isUnknown: true }));
    const lines = [...outputs, ...unknown].map((output) => this.#output(output, given[output.name], index, label));
    const parts = [make("div", { class: "dtable__result" }, result)];
    if ((answer.result ?? "value") !== "value") parts.push(this.#why(answer, index, label));
    if (lines.length) parts.push(make("dl", { class: "dtable__outputs" }, ...lines));
    else parts.push(make("p", { class: "hint" }, "The output contract has no fields yet."));
    return make("div", { class: "dtable__then" }, ...parts);
  }

  #why(answer, index, label) {
    const key = index === null ? "otherwise" : String(index);
    const line = (name, words, more = {}) => {
      const input = make("input", { class: "input", value: answer[name] ?? "", placeholder: words, "aria-label": `${label}: ${words.toLowerCase()}`, "data-place": `${key}.${name}`, autocomplete: "off", ...more, onchange: () => this.#answer(index, (one) => ({ ...one, [name]: input.value.trim() || null })) });
      return input;
    };
    return make("div", { class: "dtable__why" }, line("reason", "Reason in words", { maxlength: "2000" }), line("reason_code", "Reason as a code", { class: "input mono", maxlength: "63" }));
  }

  /** One field of the output: a value, or an expression. An empty one is not given. */
  #output({ name, schema, needed, isUnknown }, text, index, rowLabel) {
    const key = index === null ? "otherwise" : String(index), place = `${key}.output.${name}`, label = `${rowLabel}: ${name}`;
    const set = (changed) => this.#answer(index, (row) => {
      const { [name]: _, ...others } = row.output ?? {};
      return { ...row, output: changed === "" ? others : { ...others, [name]: changed } };
    });
    const literal = text === undefined ? "" : table.readLiteral(text), kind = table.kindOf(schema);
    const isPlain = !this.cel?.has(place) && literal !== undefined && !(kind === "text" && schema.type !== "string" && !(typeof literal === "string" && literal !== ""));
    const path = index === null ? `/config/otherwise/output/${name}` : `/config/rows/${index}/output/${name}`;
    let control;
    if (isPlain && (kind === "yes_no" || kind === "choice")) {
      const pairs = kind === "yes_no" ? [["true", "yes"], ["false", "no"]] : schema.enum.map((one) => [one, one]);
      control = make("select", { class: "input", onchange: () => set(control.value === "" ? "" : table.writeLiteral(kind === "yes_no" ? control.value === "true" : control.value)) }, ...options([["", needed ? "choose" : "not given"], ...pairs], text === undefined ? "" : String(literal)));
    } else if (isPlain && kind === "number") {
      control = make("input", { class: "input num", inputmode: "decimal", value: text === undefined ? "" : String(literal), onchange: () => set(control.value.trim().replaceAll(" ", "")) });
    } else if (isPlain && schema.type === "string") {
      control = make("input", { class: "input", value: text === undefined ? "" : String(literal), onchange: () => set(control.value === "" ? "" : table.writeLiteral(control.value)) });
    } else control = make("input", { class: "input mono", value: text ?? "", spellcheck: "false", placeholder: "expression, such as input.amount", onchange: () => set(control.value.trim()) });
    const isExpression = control.classList.contains("mono");
    Object.assign(control.dataset, { place });
    control.setAttribute("autocomplete", "off");
    control.setAttribute("aria-label", isExpression ? `${label}, expression` : label);
    const swap = button(isExpression ? "list" : "braces", isExpression ? `${label}: as a value` : `${label}: as an expression`, () => {
      if (!isExpression) (this.cel ??= new Set()).add(place);
      else if (text !== undefined && table.readLiteral(text) === undefined) { window.baton?.toast?.("This is an expression and no plain value, so it stays one.", { tone: "bad" }); return; } else this.cel?.delete(place);
      this.#showAt(`${place}.swap`);
    }, { "data-place": `${place}.swap` });
    return make("div", { class: "dtable__output", "data-cell": path }, make("dt", {}, make("code", {}, name), isUnknown ? make("span", { class: "hint hint--bad" }, " not in the contract") : null), make("dd", {}, control, swap));
  }

  /* -- rows -- */

  #add() {
    const rows = this.#value.rows, latest = rows.at(-1);
    this.#rows([...rows, { id: table.freeRow(rows), when: [], output: { ...(latest?.output ?? {}) } }]);
    this.#showAt(`${rows.length}.id`);
    this.root.querySelector(`[data-place="${rows.length}.id"]`)?.select();
  }

  #addCondition(index) {
    const [field] = this.fields;
    if (!field) { window.baton?.toast?.("The input contract has no field to ask about yet.", { tone: "bad" }); return; }
    const number = (this.#value.rows[index].when ?? []).length;
    this.#answer(index, (row) => ({ ...row, when: [...(row.when ?? []), table.freshCondition(field)] }));
    this.#showAt(`${index}.when.${number}.field`);
  }

  #move(index, by) {
    const rows = table.moved(this.#value.rows, index, by);
    if (rows === this.#value.rows) { this.status.textContent = `It is the ${by < 0 ? "first" : "last"} row already`; return; }
    this.cel = null;
    const part = document.activeElement?.dataset.place?.split(".").slice(1).join(".") || "id";
    this.#rows(rows);
    this.#showAt(`${index + by}.${part}`);
    this.status.textContent = `Row ${rows[index + by].id} moved to place ${index + by + 1} of ${rows.length}`;
  }

  #remove(index) {
    const { id } = this.#value.rows[index];
    this.cel = null;
    this.#rows(this.#value.rows.filter((_, at) => at !== index));
    this.#showAt(this.#value.rows.length ? `${Math.min(index, this.#value.rows.length - 1)}.id` : "add");
    this.status.textContent = `Row ${id} was removed`;
  }

  #onKey(event) {
    this.isTyping = event.target.matches("select");
    if (event.key === "Tab") setTimeout(() => this.#showPending());
    if (event.key === "Enter" && event.target.matches("input:not([type=checkbox])")) { event.preventDefault(); event.target.dispatchEvent(new Event("change")); return; }
    if (!event.altKey || event.ctrlKey || event.metaKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    const row = event.target.closest("[data-row]");
    if (!row) return;
    event.preventDefault();
    event.target.dispatchEvent(new Event("change"));
    this.#move(Number(row.dataset.row), event.key === "ArrowUp" ? -1 : 1);
  }

  /* -- what the server says -- */

  #showRemarks() {
    if (!this.root) return;
    for (const list of this.root.querySelectorAll("[data-errors]")) { list.replaceChildren(); list.hidden = true; }
    for (const cell of this.root.querySelectorAll(".is-wrong, .is-unsure")) cell.classList.remove("is-wrong", "is-unsure");
    for (const control of this.root.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
    for (const one of this.#remarks) {
      const row = /^\/config\/rows\/(\d+)/.exec(one.path)?.[1] ?? (one.path.startsWith("/config/otherwise") ? "otherwise" : null);
      const list = row === null ? this.#general() : this.root.querySelector(`[data-errors="${row}"]`);
      if (!list) continue;
      list.hidden = false;
      list.append(make("li", { class: one.severity === "error" ? "hint hint--bad" : "hint hint--caution" }, one.reason));
      const cell = this.root.querySelector(`[data-cell="${CSS.escape(one.path)}"]`);
      cell?.classList.add(one.severity === "error" ? "is-wrong" : "is-unsure");
      if (cell && one.severity === "error") for (const control of cell.querySelectorAll("input, select")) { control.setAttribute("aria-invalid", "true"); control.setAttribute("aria-describedby", list.id); }
    }
  }

  #general() {
    const found = this.root.querySelector('[data-errors="table"]');
    if (found) return found;
    const list = this.#errors("table");
    this.root.querySelector(".dtable__head")?.after(list);
    return list;
  }

  /* -- JSON -- */

  #json() {
    const text = this.#raw ?? pretty(this.#value), id = `decision-json-${++made}`;
    this.area = make("textarea", { class: "input mono contract__json", rows: String(Math.min(30, Math.max(8, text.split("\n").length))), spellcheck: "false", "aria-label": `${this.label} as JSON`, "aria-describedby": id });
    this.area.value = text;
    const error = make("p", { class: "hint hint--bad", id, role: "status" });
    const read = () => {
      const { value, error: broken } = parseJson(this.area.value);
      const isTable = !broken && Array.isArray(value?.rows);
      error.textContent = broken ? `Line ${broken.line}, column ${broken.column}: ${broken.reason}.` : isTable ? "" : "A table is an object with a list of rows.";
      if (!isTable) { this.#raw = this.area.value; this.#submit(); return; }
      this.#value = value;
      this.#commit({});
    };
    this.area.addEventListener("input", read);
    if (this.#raw !== null) queueMicrotask(read);
    return make("div", { class: "contract__text" }, this.area, error);
  }
}

if (!customElements.get("decision-table")) customElements.define("decision-table", DecisionTable);
