// Ids made of names. RESERVED and the patterns mirror orchestrator/core/definition.py.
const RESERVED: ReadonlySet<string> = new Set(
  (
    "as break const continue else false for function if import in let loop null package namespace " +
    "return true var void while input steps output result reason score"
  ).split(" "),
);
const MAX_LENGTH = 63;

export const ID_PATTERN = /^[a-z][a-z0-9_]{0,62}$/;
export const EVENT_PATTERN = /^[A-Za-z][A-Za-z0-9_.-]{0,119}$/;
export const FIELD_PATTERN = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/** "Check fraud (again)" → "check_fraud_again"; begins with `otherwise` when nothing is left. */
export function slugOf(name: string, otherwise: string): string {
  const plain = name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replaceAll("ß", "ss")
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[_0-9]+|_+$/g, "")
    .slice(0, MAX_LENGTH - 4)
    .replace(/_+$/, "");
  return plain || otherwise;
}

/** An id that is free, of a name: `check`, `check_2`. Reserved words get a number too. */
export function freeId(name: string, taken: (id: string) => boolean, otherwise: string): string {
  const slug = slugOf(name, otherwise);
  if (!RESERVED.has(slug) && !taken(slug)) return slug;
  let count = 2;
  while (taken(`${slug}_${count}`)) count += 1;
  return `${slug}_${count}`;
}

/** A name that no other has: "Approve", "Approve 2", "Approve 3". */
export function freeName(name: string, names: Iterable<string>): string {
  const taken = new Set(names);
  if (!taken.has(name)) return name;
  const base = name.replace(/ \d+$/, "");
  let count = 2;
  while (taken.has(`${base} ${count}`)) count += 1;
  return `${base} ${count}`;
}

/** Why a text cannot be a step's id; null when it can. */
export function whyNotId(id: string): string | null {
  if (RESERVED.has(id)) return `"${id}" is a reserved word.`;
  if (ID_PATTERN.test(id)) return null;
  return "An id begins with a small letter and has small letters, digits and _ only, 63 at most.";
}

/** Why a text is no type of event; "" when it is one. */
export function whyNotEventType(text: string): string {
  return EVENT_PATTERN.test(text) ? "" : "Letters, digits, dots, _ and -; a letter first.";
}
