// The mapping table: each field that a step takes or builds, what it reads, and whether that fits.
import { useMemo } from "react";
import { verdictOf, type PlaceVerdict } from "../../graph/verdicts";
import { humanName, isOpen, isPlainPath, targetsOf, type Target } from "../../graph/fields";
import type { JsonObject, JsonValue } from "../../schema.gen";
import type { Look } from "../../graph/words";
import { Icon, StateIcon } from "../Icon";
import { AddLine, IconButton } from "./controls";
import type { Finding, TargetField } from "../../graph/examination";
import { isWhole, wholeMendings } from "../../graph/mending";
import { useInspector } from "./context";
import { useMappingEdits, type MappingEdits } from "./mappingEdits";
import { ValueField } from "./ValueField";

const FIELD_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const NO_FIELDS: readonly TargetField[] = [];
const NO_FINDINGS: readonly Finding[] = [];

export interface MappingProps {
  readonly stepId: string;
  /** Part of the step that holds the mapping: "input", "proposal", "output" or "result". */
  readonly part: string;
  readonly mapping: Readonly<Record<string, string>>;
  /** What the fields must obey; null when the step itself decides what it builds. */
  readonly contract: JsonObject | null;
  readonly title: string;
  readonly empty: string;
}

export function Mapping({ stepId, part, mapping, contract, title, empty }: MappingProps) {
  const editor = useInspector();
  const edits = useMappingEdits(stepId);
  const targets = useMemo(() => rowsOf(contract, mapping, editor.types), [contract, mapping, editor.types]);
  const fields = editor.fields ?? NO_FIELDS;
  const verdicts = targets.map((target) => verdictOf(editor.examination, stepId, `${part}.${target.name}`, mapping[target.name]));
  const whole = wholeMendings(editor.examination?.findings ?? NO_FINDINGS, stepId);
  const fitting = targets.flatMap(({ name }) => {
    const best = name in mapping ? undefined : sameName(fields, name);
    return best === undefined ? [] : [[name, best] as const];
  });
  return (
    <section className="pane__section stack" aria-label={title}>
      <div className="spread">
        <h3>{title}</h3>
        <span className="small subtle">{summary(verdicts)}</span>
      </div>
      {(whole.length > 0 || fitting.length > 0) && (
        <div className="row row--wrap">
          {fitting.length > 0 && !whole.some(({ kind }) => kind === "map_all") && (
            <button
              className="button button--s"
              type="button"
              onClick={() => {
                edits.setAll(Object.fromEntries(fitting));
              }}
            >
              <Icon name="i-zap" small />
              Map everything that fits ({fitting.length} {fitting.length === 1 ? "field" : "fields"})
            </button>
          )}
          {whole.map((mending) => (
            <button
              key={mending.title}
              className="button button--s"
              type="button"
              onClick={() => {
                editor.mend(mending);
              }}
            >
              <Icon name="i-zap" small />
              {mending.title}
            </button>
          ))}
        </div>
      )}
      {targets.length === 0 && <p className="hint">{empty}</p>}
      {targets.length > 0 && (
        <ul className="mapping-list">
          {targets.map((target, index) => (
            <Row
              key={target.name}
              stepId={stepId}
              part={part}
              edits={edits}
              target={target}
              value={mapping[target.name] ?? ""}
              verdict={verdicts[index] ?? null}
              candidates={fields.find((field) => field.name === target.name)?.candidates}
              isOwn={!isDeclared(contract, target.name)}
            />
          ))}
        </ul>
      )}
      {isOpen(contract) && (
        <AddLine
          label={contract ? "Another field" : "New field"}
          verb="Add field"
          check={(name) =>
            !FIELD_NAME.test(name)
              ? "A field's name is made of letters, digits and underscores, and begins with a letter."
              : name in mapping || targets.some((target) => target.name === name)
                ? `There is a field '${name}' already.`
                : ""
          }
          onAdd={edits.begin}
        />
      )}
      {edits.begun
        .filter((name) => !(name in mapping) && !targets.some((target) => target.name === name))
        .map((name) => (
          <Row
            key={name}
            stepId={stepId}
            part={part}
            edits={edits}
            target={ownTarget(name)}
            value=""
            verdict={null}
            candidates={undefined}
            isOwn
          />
        ))}
    </section>
  );
}

function Row({
  stepId,
  part,
  edits,
  target,
  value,
  verdict,
  candidates,
  isOwn,
}: {
  readonly stepId: string;
  readonly part: string;
  readonly edits: MappingEdits;
  readonly target: Target;
  readonly value: string;
  readonly verdict: PlaceVerdict | null;
  readonly candidates: readonly string[] | undefined;
  readonly isOwn: boolean;
}) {
  const { definition, scope } = useInspector();
  const isBad = verdict?.look.tone === "bad";
  const isMissing = target.required && !value;
  const noteId = `note-${part}-${target.name}`;
  return (
    <li className={`mapping-row${isBad ? " is-bad" : ""}`}>
      <div className="spread">
        <span className="mapping-row__name">
          <code>{target.name}</code>
          {target.required && (
            <span className="tag" title="The contract requires it">
              required
            </span>
          )}
          {target.dataClass && <span className="tag">{target.dataClass}</span>}
        </span>
        <span className="row">
          {isMissing && !verdict && <VerdictWord tone="bad" shape="s-misfit" word="Missing" />}
          {verdict && <VerdictWord tone={verdict.look.tone} shape={verdict.look.shape} word={verdict.look.word} />}
          {isOwn && (
            <IconButton
              label={`Remove the field ${target.name}`}
              icon="i-trash"
              onPress={() => {
                edits.remove(target.name);
              }}
            />
          )}
        </span>
      </div>
      <p className="hint" id={noteId}>
        {describe(target)}
      </p>
      <ValueField
        label={target.name}
        hideLabel
        value={value}
        definition={definition}
        scope={scope}
        candidates={candidates ?? []}
        target={target}
        place={`${part}.${target.name}`}
        describedBy={noteId}
        onCommit={(expression) => {
          edits.set(target.name, expression);
        }}
        onClear={
          isOwn
            ? undefined
            : () => {
                edits.remove(target.name);
              }
        }
      />
      {verdict?.reason && <VerdictDetail verdict={verdict} />}
      <Mendings stepId={stepId} place={`${part}.${target.name}`} />
    </li>
  );
}

/** State as shape, word and colour. */
export function VerdictWord({ tone, shape, word }: Look) {
  return (
    <span className={`state small tone-${tone}`}>
      <StateIcon look={{ tone, shape, word }} />
      {word}
    </span>
  );
}

/** Why it does not fit, and a value for which it breaks. */
export function VerdictDetail({ verdict }: { readonly verdict: PlaceVerdict }) {
  return (
    <div className={`mapping-detail tone-${verdict.look.tone}`} role="note">
      <p>{verdict.reason}</p>
      {verdict.counterExample !== undefined && <CounterExample value={verdict.counterExample} />}
    </div>
  );
}

/** A value that breaks it: an object as a small table, anything else as it is. */
export function CounterExample({ value }: { readonly value: JsonValue }) {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return (
    <div className="counter-example">
      <p className="hint">This breaks it:</p>
      {isObject ? (
        <table className="counter-table">
          <thead className="visually-hidden">
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Value</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(value).map(([name, part]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <code>{JSON.stringify(part)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <code className="counter well">{JSON.stringify(value)}</code>
      )}
    </div>
  );
}

/** The ways to mend what is wrong at one place, as buttons. */
export function Mendings({ stepId, place }: { readonly stepId: string; readonly place: string }) {
  const { examination, mend } = useInspector();
  const mendings = (examination?.findings ?? [])
    .filter((finding) => finding.step === stepId && finding.field === place)
    .flatMap((finding) => finding.mendings ?? [])
    .filter((mending) => !isWhole(mending));
  if (!mendings.length) return null;
  return (
    <div className="row row--wrap">
      {mendings.map((mending) => (
        <button
          key={mending.title}
          className="button button--s"
          type="button"
          onClick={() => {
            mend(mending);
          }}
        >
          {mending.title}
        </button>
      ))}
    </div>
  );
}

/** What the field is, without saying its name again. */
function describe({ name, label, word, description }: Target): string {
  const own = label === humanName(name) || label.toLowerCase() === word ? "" : label;
  return [own, word, description].filter(Boolean).join(" · ");
}

function rowsOf(
  contract: JsonObject | null,
  mapping: Readonly<Record<string, string>>,
  types: Readonly<Record<string, { readonly title?: string } | undefined>>,
): readonly Target[] {
  const declared = targetsOf(contract, types);
  const known = new Set(declared.map((target) => target.name));
  return [...declared, ...Object.keys(mapping).filter((name) => !known.has(name)).map(ownTarget)];
}

function ownTarget(name: string): Target {
  return { name, label: humanName(name), word: "", required: false, description: "", dataClass: "", schema: {} };
}

function isDeclared(contract: JsonObject | null, name: string): boolean {
  const properties = contract?.properties;
  return typeof properties === "object" && properties !== null && !Array.isArray(properties) && name in properties;
}

/** The value of the same name, when there is one that fits. */
function sameName(fields: readonly TargetField[], name: string): string | undefined {
  const candidates = fields.find((field) => field.name === name)?.candidates ?? [];
  return candidates.find((expression) => isPlainPath(expression) && expression.endsWith(`.${name}`));
}

function summary(verdicts: readonly (PlaceVerdict | null)[]): string {
  const counts = new Map<string, number>();
  for (const verdict of verdicts) {
    if (verdict) counts.set(verdict.look.word, (counts.get(verdict.look.word) ?? 0) + 1);
  }
  return [...counts.entries()]
    .map(([word, count]) => `${count} ${word === "Fits" && count > 1 ? "fit" : word.toLowerCase()}`)
    .join(" · ");
}
