/* Decision tables as documents: pure functions, no DOM.

   A condition is a CEL text. Many are simple - a field, an operator, a value - and are shown as three
   controls; what is not simple is shown as the text it is. `readCondition(writeCondition(x))` gives x. */

export const OPERATORS = {
  "==": "is", "!=": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
  in: "is one of", has: "is given", lacks: "is not given",
};
const PATH = String.raw`input((?:\.[A-Za-z_][A-Za-z0-9_]*)+)`;
const LITERAL = String.raw`(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?|true|false)`;
const COMPARISON = new RegExp(`^${PATH}\\s*(==|!=|<=|>=|<|>)\\s*(${LITERAL})$`);
const CHOICE = new RegExp(`^${PATH}\\s+in\\s+\\[\\s*(${LITERAL}(?:\\s*,\\s*${LITERAL})*)\\s*\\]$`);
const GIVEN = new RegExp(`^(!?)has\\(${PATH}\\)$`);
const GUARDED = new RegExp(`^has\\(${PATH}\\)\\s*&&\\s*(.+)$`);

/** `{field, operator, value}` of a simple condition (value: scalar, or a list for `in`), or null. */
export function readCondition(text) {
  const typed = text.trim();
  const given = GIVEN.exec(typed);
  if (given) return { field: given[2].slice(1), operator: given[1] ? "lacks" : "has", value: null, guarded: false };
  const guarded = GUARDED.exec(typed);
  if (guarded) {
    const inner = readCondition(guarded[2]);
    const fits = inner && !inner.guarded && !["has", "lacks"].includes(inner.operator) && inner.field === guarded[1].slice(1);
    return fits ? { ...inner, guarded: true } : null;
  }
  const compared = COMPARISON.exec(typed);
  if (compared) return { field: compared[1].slice(1), operator: compared[2], value: readLiteral(compared[3]), guarded: false };
  const chosen = CHOICE.exec(typed);
  if (!chosen) return null;
  const values = chosen[2].match(new RegExp(LITERAL, "g")).map(readLiteral);
  return { field: chosen[1].slice(1), operator: "in", value: values, guarded: false };
}

/** The CEL text of a simple condition. `guarded` asks first whether the field is given. */
export function writeCondition({ field, operator, value, guarded = false }) {
  const path = `input.${field}`;
  if (operator === "has") return `has(${path})`;
  if (operator === "lacks") return `!has(${path})`;
  const right = operator === "in" ? `[${[].concat(value).map(writeLiteral).join(", ")}]` : writeLiteral(value);
  const plain = `${path} ${operator} ${right}`;
  return guarded ? `has(${path}) && ${plain}` : plain;
}

/** A literal as CEL writes it. */
export const writeLiteral = (value) => (typeof value === "string" ? JSON.stringify(value) : String(value));

/** The value of a literal; undefined when the text is none. */
export function readLiteral(text) {
  const typed = text.trim();
  if (typed === "true" || typed === "false") return typed === "true";
  if (/^-?\d+(\.\d+)?$/.test(typed)) return Number(typed);
  if (!new RegExp(`^${LITERAL}$`).test(typed)) return undefined;
  if (typed.startsWith('"')) { try { return JSON.parse(typed); } catch { return undefined; } }
  return typed.startsWith("'") && !typed.includes("\\") ? typed.slice(1, -1) : undefined;
}

/** The fields of a contract that a condition can ask about: `[{path, schema, required}]`, nested ones dotted. */
export function fieldsOf(schema, path = "", sure = true, depth = 0) {
  const found = [];
  const needed = new Set(schema?.required ?? []);
  for (const [name, child] of Object.entries(schema?.properties ?? {})) {
    const here = path ? `${path}.${name}` : name, isSure = sure && needed.has(name);
    if (child?.$ref === "baton:Money") found.push({ path: `${here}.minor`, schema: { type: "integer", title: "amount in cents" }, required: isSure }, { path: `${here}.currency`, schema: { type: "string" }, required: isSure });
    else if (child?.type === "object" && child.properties && depth < 4) found.push(...fieldsOf(child, here, isSure, depth + 1));
    else found.push({ path: here, schema: child, required: isSure });
  }
  return found;
}

/** How a value is asked for: `yes_no`, `number`, `choice` or `text`. */
export function kindOf(schema) {
  if (schema?.type === "boolean") return "yes_no";
  if (schema?.type === "integer" || schema?.type === "number") return "number";
  return Array.isArray(schema?.enum) && schema.enum.every((one) => typeof one === "string") ? "choice" : "text";
}

/** The operators that make sense for a field. */
export function operatorsFor(field) {
  const always = field?.required ? [] : ["has", "lacks"];
  switch (kindOf(field?.schema)) {
    case "yes_no": return ["==", ...always];
    case "number": return ["<", "<=", ">", ">=", "==", "!=", ...always];
    default: return ["==", "!=", "in", ...always];
  }
}

/** A value to begin with. */
export function firstValue(field) {
  switch (kindOf(field?.schema)) {
    case "yes_no": return true;
    case "number": return 0;
    case "choice": return field.schema.enum[0];
    default: return "";
  }
}

/** A condition about a field, ready to be changed; asks first whether an optional field is given. */
export function freshCondition(field) {
  const operator = operatorsFor(field)[0];
  return writeCondition({ field: field.path, operator, value: firstValue(field), guarded: !field.required });
}

/** A row's name that is free. */
export function freeRow(rows) {
  for (let number = rows.length + 1; ; number += 1) if (!rows.some((row) => row.id === `row ${number}`)) return `row ${number}`;
}

/** A list with one entry moved. */
export function moved(list, from, by) {
  const to = from + by;
  if (to < 0 || to >= list.length) return list;
  const made = [...list];
  made.splice(to, 0, ...made.splice(from, 1));
  return made;
}
