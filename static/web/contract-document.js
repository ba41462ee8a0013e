/* The document handling of the contract table: pure functions, no DOM.

   A contract is a JSON Schema of an object. Rows are a view of its properties; every edit takes the
   schema and returns a new one in which nothing but the edited place differs, so that opening and
   saving a contract without an edit gives the same document, and what the table has no column for
   stays as it was written. A path is the list of field names that lead to an object; it passes
   through lists into their entries. */

export const LIMITS = { depth: 64, bytes: 1_000_000 };
export const CLASSES = { public: "public", internal: "internal", confidential: "confidential", pii: "personal", phi: "health", secret: "secret" };
export const FORMATS = { email: "e-mail address", uri: "web address", uuid: "id" };
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const NOTES = new Set(["title", "description", "examples", "default", "deprecated", "readOnly", "$comment"]);
const OBJECT_KEYS = new Set(["type", "properties", "required", "additionalProperties", "$schema", "$defs"]);

/** Type names as the table offers them. `type:<name>` is a shared type, `list:<kind>` a list. */
export const KINDS = {
  text: "text", whole: "whole number", number: "number", yes_no: "yes or no", date_text: "date (as text)",
  instant_text: "date and time (as text)", choice: "choice of texts", fixed: "one fixed text", object: "object",
  json: "as written (JSON)",
};
const ONE_OF_LIST = { text: "texts", whole: "whole numbers", number: "numbers", yes_no: "yes or no", date_text: "dates (as text)",
  instant_text: "times (as text)", choice: "choices", object: "objects" };
const SHARED = { Money: "money", Date: "date", Instant: "date and time", Artefact: "file", Currency: "currency",
  Sources: "places where it was read", Place: "place in a document" };

/* ---- Reading ------------------------------------------------------------------------------------- */

/** Why a schema cannot be shown as a table, in a sentence; empty when it can. */
export function whyNoTable(schema) {
  if (!isObject(schema)) return "It is not an object.";
  if (schema.type !== "object") return "The table shows objects with named fields, and this contract is none.";
  const odd = Object.keys(schema).find((key) => !OBJECT_KEYS.has(key) && !isNote(key));
  if (odd !== undefined) return `It uses “${odd}”, for which the table has no column.`;
  if (schema.properties !== undefined && !isObject(schema.properties)) return "Its “properties” are not an object.";
  const { required = [], additionalProperties: rest } = schema;
  if (!Array.isArray(required) || required.some((one) => typeof one !== "string")) return "Its “required” is not a list of names.";
  const unknown = required.find((one) => !Object.hasOwn(schema.properties ?? {}, one));
  if (unknown !== undefined) return `It needs “${unknown}”, which is none of its fields.`;
  if (rest !== undefined && typeof rest !== "boolean") return "It says what other fields look like (“additionalProperties”), for which the table has no column.";
  return "";
}

/** The rows of an object: `{name, kind, required, schema}`, in the order in which people see them. */
export function rowsOf(schema) {
  const properties = schema.properties ?? {};
  const required = new Set(schema.required ?? []);
  return orderOf(schema).map((name) => ({ name, kind: kindOf(properties[name]), required: required.has(name), schema: properties[name] }));
}

/** How many rows the table shows, those inside of others included. */
export function countRows(schema) {
  return rowsOf(schema).reduce((count, { kind, schema: property }) => count + 1 + (kind === "object" || kind === "list:object" ? countRows(entryOf(property)) : 0), 0);
}

/** The names of an object's fields in order: `x-order` when somebody moved them, else as written. */
export function orderOf(schema) {
  const names = Object.keys(schema.properties ?? {});
  const wanted = Array.isArray(schema["x-order"]) ? schema["x-order"] : [];
  const place = new Map(wanted.map((name, index) => [name, index]));
  return names.map((name, index) => [place.get(name) ?? wanted.length + index, name]).sort((a, b) => a[0] - b[0]).map(([, name]) => name);
}

/** The kind of a field's schema; `json` when the table could not show all of it. */
export function kindOf(schema) {
  if (!isObject(schema)) return "json";
  const keys = Object.keys(schema).filter((key) => !isNote(key));
  const only = (...allowed) => keys.every((key) => allowed.includes(key));
  if (typeof schema.$ref === "string") return only("$ref") && schema.$ref.startsWith("baton:") ? `type:${schema.$ref.slice(6)}` : "json";
  if ("enum" in schema) return only("enum", "type") && isTexts(schema.enum) && ["string", undefined].includes(schema.type) ? "choice" : "json";
  if ("const" in schema) return only("const", "type") && typeof schema.const === "string" && ["string", undefined].includes(schema.type) ? "fixed" : "json";
  switch (schema.type) {
    case "string": return textKind(schema, only);
    case "integer": return only("type", "minimum", "maximum") ? "whole" : "json";
    case "number": return only("type", "minimum", "maximum") ? "number" : "json";
    case "boolean": return only("type") ? "yes_no" : "json";
    case "object": return whyNoTable(schema) || "$defs" in schema ? "json" : "object";
    case "array": return only("type", "items", "minItems", "maxItems", "uniqueItems") ? listKind(schema.items) : "json";
    default: return "json";
  }
}

function textKind(schema, only) {
  if (schema.format === "date" && only("type", "format")) return "date_text";
  if (schema.format === "date-time" && only("type", "format")) return "instant_text";
  const known = schema.format === undefined || Object.hasOwn(FORMATS, schema.format);
  return known && only("type", "minLength", "maxLength", "pattern", "format") ? "text" : "json";
}

function listKind(items) {
  const kind = kindOf(items);
  return kind.startsWith("type:") || Object.hasOwn(ONE_OF_LIST, kind) ? `list:${kind}` : "json";
}

/** A kind in words; `types` are the shared types by name, each with a `title`. */
export function wordsOfKind(kind, types = {}) {
  if (kind.startsWith("list:")) {
    const item = kind.slice(5);
    return `list of ${item.startsWith("type:") ? plural(sharedWords(item.slice(5), types)) : ONE_OF_LIST[item]}`;
  }
  return kind.startsWith("type:") ? sharedWords(kind.slice(5), types) : KINDS[kind];
}

/** What the type column offers: groups of `[label, [kind, ...]]`; `current` is always among them. */
export function offeredKinds(types, current) {
  const named = Object.keys(types);
  const known = ["Date", "Instant", "Money", "Artefact"].filter((name) => named.includes(name));
  const rest = named.filter((name) => !known.includes(name) && !["Place", "Sources"].includes(name)).sort();
  const shared = (names) => names.map((name) => `type:${name}`);
  const lists = ["text", "whole", "number", "choice", "object", ...shared(known), ...shared(rest)];
  const groups = [
    ["One value", ["text", "whole", "number", "yes_no", ...shared(known), "choice", "object"]],
    ["Shared types", [...shared(rest), ...shared(["Sources", "Place"].filter((name) => named.includes(name)))]],
    ["List of", lists.map((kind) => `list:${kind}`)],
  ].filter(([, kinds]) => kinds.length);
  const isOffered = groups.some(([, kinds]) => kinds.includes(current));
  return isOffered ? groups : [["As it is", [current]], ...groups];
}

/** The schema of the object at a path. */
export function objectAt(schema, path) {
  return path.reduce((at, name) => entryOf(at.properties[name]), schema);
}

const entryOf = (property) => (property.type === "array" ? property.items : property);

/* ---- Edits: each gives a new schema ----------------------------------------------------------------- */

/** A contract without fields, to start from. */
export function emptyContract() {
  return { type: "object", properties: {}, required: [], additionalProperties: false };
}

/** Why a name cannot be used among these fields, in a sentence; empty when it can. */
export function whyNoName(name, others) {
  if (!name) return "Give the field a name.";
  if (!NAME.test(name)) return "A name has letters, digits and _ and begins with a letter; at most 63 characters.";
  return others.includes(name) ? `There is a field “${name}” already.` : "";
}

/** A name that is free in the object at a path. */
export function freeName(schema, path) {
  const taken = Object.keys(objectAt(schema, path).properties ?? {});
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? "field" : `field_${number}`;
    if (!taken.includes(name)) return name;
  }
}

/** A text field that is needed is added, at a place among the others (default: at the end). */
export function addField(schema, path, name, at = Infinity) {
  return change(schema, path, (object) => {
    const names = orderOf(object);
    names.splice(Math.min(at, names.length), 0, name);
    const added = { ...object, properties: { ...object.properties, [name]: { type: "string" } }, required: [...(object.required ?? []), name] };
    return at < names.length - 1 || "x-order" in object ? ordered(added, names) : added;
  });
}

/** A field is taken out. */
export function removeField(schema, path, name) {
  return change(schema, path, (object) => {
    const properties = Object.fromEntries(Object.entries(object.properties).filter(([key]) => key !== name));
    return keptOrder(withRequired({ ...object, properties }, (names) => names.filter((one) => one !== name)));
  });
}

/** A field gets another name and keeps its place. */
export function renameField(schema, path, name, to) {
  const swap = (one) => (one === name ? to : one);
  return change(schema, path, (object) => {
    const properties = Object.fromEntries(Object.entries(object.properties).map(([key, value]) => [swap(key), value]));
    const renamed = withRequired({ ...object, properties }, (names) => names.map(swap));
    return "x-order" in object ? { ...renamed, "x-order": orderOf(object).map(swap) } : renamed;
  });
}

/** A field moves up (-1) or down (1); at the end it stays. */
export function moveField(schema, path, name, by) {
  return change(schema, path, (object) => {
    const names = orderOf(object), from = names.indexOf(name), to = from + by;
    if (to < 0 || to >= names.length) return object;
    names.splice(to, 0, ...names.splice(from, 1));
    return ordered(object, names);
  });
}

/** Whether a value must be there. */
export function setRequired(schema, path, name, isRequired) {
  return change(schema, path, (object) => {
    const places = orderOf(object);
    const rank = (one) => places.indexOf(one);
    return withRequired(object, (names) => {
      const others = names.filter((one) => one !== name);
      if (!isRequired) return others;
      const after = others.findIndex((one) => rank(one) > rank(name));
      return after < 0 ? [...others, name] : [...others.slice(0, after), name, ...others.slice(after)];
    });
  });
}

/** Whether fields that are not listed are refused. */
export function setClosed(schema, path, isClosed) {
  return change(schema, path, (object) => {
    if (isClosed) return { ...object, additionalProperties: false };
    return without(object, "additionalProperties");
  });
}

/** A field gets another type; its words and class stay, limits of the old type go. */
export function setKind(schema, path, name, kind) {
  return changeField(schema, path, name, (property) => ({ ...notesOf(property), ...schemaOfKind(kind, property) }));
}

/** A keyword of a field, or of the entries of a list; `undefined` takes it away. */
export function setKeyword(schema, path, name, keyword, value, { ofEntries = false } = {}) {
  const put = (target) => (value === undefined ? without(target, keyword) : { ...target, [keyword]: value });
  return changeField(schema, path, name, (property) => (ofEntries ? { ...property, items: put(property.items) } : put(property)));
}

/** The whole schema of one field. */
export function setField(schema, path, name, value) {
  return changeField(schema, path, name, () => value);
}

function schemaOfKind(kind, before) {
  const old = isObject(before) ? before : {};
  if (kind === kindOf(old)) return without(old, ...Object.keys(notesOf(old)));
  if (kind.startsWith("list:")) {
    const entry = kind.slice(5);
    return { type: "array", items: kindOf(old) === entry ? without(old, ...Object.keys(notesOf(old))) : schemaOfKind(entry, old.items) };
  }
  if (kindOf(old) === `list:${kind}`) return old.items;
  if (kind.startsWith("type:")) return { $ref: `baton:${kind.slice(5)}` };
  switch (kind) {
    case "whole": return { type: "integer" };
    case "number": return { type: "number" };
    case "yes_no": return { type: "boolean" };
    case "date_text": return { type: "string", format: "date" };
    case "instant_text": return { type: "string", format: "date-time" };
    case "choice": return { enum: ["first choice", "second choice"] };
    case "fixed": return { const: "text" };
    case "object": return emptyContract();
    case "json": return old;
    default: return { type: "string" };
  }
}

function change(schema, path, edit) {
  if (!path.length) return edit(schema);
  const [name, ...rest] = path;
  const property = schema.properties[name];
  const inner = change(entryOf(property), rest, edit);
  const changed = property.type === "array" ? { ...property, items: inner } : inner;
  return { ...schema, properties: { ...schema.properties, [name]: changed } };
}

function changeField(schema, path, name, edit) {
  return change(schema, path, (object) => ({ ...object, properties: { ...object.properties, [name]: edit(object.properties[name]) } }));
}

/** Properties, `required` and `x-order` in this order: a database may forget that of properties. */
function ordered(object, names) {
  const properties = Object.fromEntries(names.map((name) => [name, object.properties[name]]));
  const sorted = withRequired({ ...object, properties }, (needed) => names.filter((name) => needed.includes(name)));
  return { ...sorted, "x-order": names };
}

const keptOrder = (object) => ("x-order" in object ? { ...object, "x-order": orderOf(object) } : object);

function withRequired(object, edit) {
  const before = object.required ?? [], after = edit(before);
  return object.required === undefined && !after.length ? object : { ...object, required: after };
}

const without = (object, ...keys) => Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));

function notesOf(property) {
  if (!isObject(property)) return {};
  return Object.fromEntries(Object.entries(property).filter(([key]) => ["title", "description"].includes(key) || key === "x-class"));
}

const isNote = (key) => NOTES.has(key) || key.startsWith("x-");
const isTexts = (value) => Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string");
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function sharedWords(name, types) {
  if (SHARED[name]) return SHARED[name];
  const title = types[name]?.title || name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ");
  return title.toLowerCase();
}

const plural = (words) => (["money", "date and time", "currency", "places where it was read"].includes(words) ? words : words === "place in a document" ? "places in documents" : `${words}s`);

/* ---- What is typed into the details ------------------------------------------------------------------ */

/** Read a limit as typed: `{value}` (undefined when empty) or `{reason}`. */
export function readLimit(text, { whole, least = -Infinity }) {
  const typed = text.trim();
  if (!typed) return { value: undefined };
  const number = Number(typed);
  if (!/^[-+]?\d+(\.\d+)?$/.test(typed) || !Number.isFinite(number)) return { reason: whole ? "Enter a whole number such as 12." : "Enter a number such as 12.5." };
  if (whole && !Number.isInteger(number)) return { reason: "Enter a whole number such as 12." };
  if (Math.abs(number) >= 2 ** 53) return { reason: "Numbers beyond 2^53 are not exact." };
  return number < least ? { reason: `Enter ${least} or more.` } : { value: number };
}

/** Read the choices as typed, one a line: `{value}` or `{reason}`. */
export function readChoices(text) {
  const choices = text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!choices.length) return { reason: "Give at least one choice, one a line." };
  const twice = choices.find((one, index) => choices.indexOf(one) !== index);
  return twice === undefined ? { value: choices } : { reason: `“${twice}” stands there twice.` };
}

/** Read a pattern as typed: `{value}` (undefined when empty) or `{reason}`. */
export function readPattern(text) {
  if (!text) return { value: undefined };
  try { new RegExp(text, "u"); } catch (error) { return { reason: `This is not a pattern: ${error.message.replace(/^.*: /, "")}.` }; }
  return { value: text };
}

/* ---- JSON as text ---------------------------------------------------------------------------------------- */

/** JSON for reading. */
export const pretty = (value) => JSON.stringify(value, null, 2);

/** Parse JSON strictly: `{value}` or `{error: {line, column, reason}}`. Keys may not stand twice. */
export function parseJson(text) {
  if (new TextEncoder().encode(text).length > LIMITS.bytes) return { error: { line: 1, column: 1, reason: `more than ${LIMITS.bytes} bytes` } };
  const reader = new Reader(text);
  try {
    const value = reader.value(1);
    reader.space();
    if (reader.at < text.length) reader.fail("nothing may follow the closing bracket");
    return { value };
  } catch (error) {
    if (error instanceof Refusal) return { error: place(text, error.at, error.message) };
    throw error;
  }
}

class Refusal extends Error {
  constructor(at, reason) { super(reason); this.at = at; }
}

function place(text, at, reason) {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: before.at(-1).length + 1, reason };
}

class Reader {
  constructor(text) { this.text = text; this.at = 0; }

  fail(reason, at = this.at) { throw new Refusal(at, reason); }

  space() { while (" \t\r\n".includes(this.text[this.at] ?? "x")) this.at += 1; }

  value(depth) {
    if (depth > LIMITS.depth) this.fail(`nested deeper than ${LIMITS.depth} levels`);
    this.space();
    const char = this.text[this.at];
    if (char === "{") return this.object(depth);
    if (char === "[") return this.list(depth);
    if (char === '"') return this.string();
    return this.plain();
  }

  object(depth) {
    const made = {};
    this.at += 1;
    this.space();
    if (this.text[this.at] === "}") { this.at += 1; return made; }
    for (;;) {
      this.space();
      const start = this.at;
      if (this.text[start] !== '"') this.fail(this.text[start] === "}" ? "a comma before a closing } is one too many" : "a key in double quotes is expected");
      const key = this.string();
      if (Object.hasOwn(made, key)) this.fail(`the key “${key}” stands twice in one object`, start);
      this.space();
      if (this.text[this.at] !== ":") this.fail("a colon is expected after the key");
      this.at += 1;
      Object.defineProperty(made, key, { value: this.value(depth + 1), enumerable: true, writable: true, configurable: true });
      this.space();
      const char = this.text[this.at];
      if (char !== "," && char !== "}") this.fail(char === undefined ? "the object is not closed: } is missing" : "a comma or } is expected");
      this.at += 1;
      if (char === "}") return made;
    }
  }

  list(depth) {
    const made = [];
    this.at += 1;
    this.space();
    if (this.text[this.at] === "]") { this.at += 1; return made; }
    for (;;) {
      this.space();
      if (this.text[this.at] === "]") this.fail("a comma before a closing ] is one too many");
      made.push(this.value(depth + 1));
      this.space();
      const char = this.text[this.at];
      if (char !== "," && char !== "]") this.fail(char === undefined ? "the list is not closed: ] is missing" : "a comma or ] is expected");
      this.at += 1;
      if (char === "]") return made;
    }
  }

  string() {
    const found = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
    found.lastIndex = this.at;
    const match = found.exec(this.text);
    if (!match) this.fail("a text is not closed, or holds a line break or a wrong escape");
    const value = JSON.parse(match[0]);
    if (value.includes("\u0000")) this.fail("a text must not contain a NUL");
    this.at = found.lastIndex;
    return value;
  }

  plain() {
    const found = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null)(?![\w.])/y;
    found.lastIndex = this.at;
    const match = found.exec(this.text);
    if (!match) this.fail(this.at >= this.text.length ? "something is missing at the end" : "a value is expected: a text in double quotes, a number, true, false, null, { or [");
    this.at = found.lastIndex;
    return JSON.parse(match[0]);
  }
}
