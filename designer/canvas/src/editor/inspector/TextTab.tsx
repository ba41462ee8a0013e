// The draft as text, JSON or YAML. The server reads what is applied: what is wrong is said with its line, the
// draft stays as it was and the text as it was typed.
import { useEffect, useId, useRef, useState } from "react";
import { ApiError, sendJson } from "../../api";
import { useActions, useEditData, useEditor, useGetState } from "../context";
import { Problem, Segments } from "./controls";

const PLACE = /^Line \d+, column \d+: /;

type Format = "json" | "yaml";

interface Refusal {
  readonly reason: string;
  readonly line: number | null;
  readonly column: number | null;
}

interface Loaded {
  readonly format: Format;
  readonly revision: number;
  readonly text: string;
}

export function TextTab() {
  const { urls } = useEditData();
  const actions = useActions();
  const getState = useGetState();
  const revision = useEditor((state) => state.draft.revision);
  const [format, setFormat] = useState<Format>("json");
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [typed, setTyped] = useState<string | null>(null);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [isBusy, setBusy] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const isTyped = typed !== null && typed !== loaded?.text;
  const isStale = isTyped && loaded !== null && loaded.revision !== revision;

  useEffect(() => {
    if (isTyped || (loaded?.format === format && loaded.revision === revision)) return;
    const controller = new AbortController();
    void loadText(urls.text, format, controller.signal, actions.save).then(
      (text) => {
        setLoaded({ format, revision, text });
        setTyped(null);
        setRefusal(null);
      },
      (error: unknown) => {
        if (!controller.signal.aborted) setRefusal(refusalOf(error));
      },
    );
    return () => {
      controller.abort();
    };
  }, [actions.save, format, isTyped, loaded, revision, urls.text]);

  const applyText = async () => {
    if (!isTyped || isBusy) return;
    setBusy(true);
    setRefusal(null);
    try {
      if (!(await actions.save())) throw new Error("What was edited before is not saved yet; then the text can be applied.");
      await sendJson("PUT", urls.text, { format, text: typed, revision: getState().draft.revision });
      await actions.takeNewer();
      setTyped(null);
      actions.say("The text is the draft now.");
    } catch (error) {
      const found = refusalOf(error);
      setRefusal(found);
      if (found.line !== null && area.current) goToLine(area.current, found.line, found.column ?? 1);
    } finally {
      setBusy(false);
    }
  };

  const text = typed ?? loaded?.text ?? "";
  const lines = text.split("\n").length;
  return (
    <section className="texttab" aria-label="Text">
      <div className="texttab__bar">
        <Segments
          label="Format"
          value={format}
          options={[
            { value: "json", title: "JSON" },
            { value: "yaml", title: "YAML" },
          ]}
          onCommit={(chosen) => {
            if (isTyped) {
              setRefusal({ reason: "Apply the text or put it back first.", line: null, column: null });
              return;
            }
            setFormat(chosen === "yaml" ? "yaml" : "json");
          }}
        />
        <span className="grow" />
        <button
          className="button"
          type="button"
          aria-disabled={!isTyped || undefined}
          onClick={() => {
            setTyped(null);
            setRefusal(null);
          }}
        >
          Put it back
        </button>
        <button className="button button--primary" type="button" aria-disabled={!isTyped || isBusy || undefined} onClick={() => void applyText()}>
          {isBusy ? "Applying …" : "Apply"}
        </button>
      </div>
      {isStale && (
        <p className="notice tone-caution" role="status">
          The draft was changed while you typed. Applying the text replaces those changes; they can be undone.
        </p>
      )}
      {refusal && (
        <Problem id={`${id}-problem`}>
          {refusal.line !== null && (
            <button
              className="link"
              type="button"
              onClick={() => {
                if (area.current) goToLine(area.current, refusal.line ?? 1, refusal.column ?? 1);
              }}
            >
              Line {refusal.line}
              {refusal.column !== null && `, column ${refusal.column}`}
            </button>
          )}
          {refusal.line !== null && ": "}
          {refusal.reason}
        </Problem>
      )}
      <div className="texttab__frame">
        <div className="texttab__sheet">
          <pre className="texttab__numbers" aria-hidden="true">
            {Array.from({ length: lines }, (_, index) => index + 1).join("\n")}
          </pre>
          <textarea
            ref={area}
            className="texttab__text"
            aria-label={`The workflow as ${format.toUpperCase()}`}
            aria-invalid={refusal ? true : undefined}
            aria-describedby={refusal ? `${id}-problem` : undefined}
            spellCheck={false}
            wrap="off"
            rows={lines}
            value={text}
            onChange={(event) => {
              setTyped(event.target.value);
            }}
          />
        </div>
      </div>
    </section>
  );
}

/** The saved draft as text; what is not saved yet is saved first. */
async function loadText(
  url: string,
  format: Format,
  signal: AbortSignal,
  save: () => Promise<boolean>,
): Promise<string> {
  await save();
  const response = await fetch(`${url}?format=${format}`, { credentials: "same-origin", signal });
  if (!response.ok) throw new Error("The text could not be loaded. It is tried again when the draft is saved.");
  return response.text();
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof ApiError)) {
    return { reason: error instanceof Error ? error.message : "The server did not answer.", line: null, column: null };
  }
  const nested = error.problem.detail;
  const detail = (typeof nested === "object" && nested !== null ? nested : error.problem) as Readonly<Record<string, unknown>>;
  const number = (key: string) => (typeof detail[key] === "number" ? detail[key] : null);
  // The sentence begins with the place, which is a button of its own here.
  return { reason: error.message.replace(PLACE, ""), line: number("line"), column: number("column") };
}

/** Puts the caret where the text is wrong. */
function goToLine(area: HTMLTextAreaElement, line: number, column: number): void {
  const before = area.value.split("\n").slice(0, line - 1);
  const start = before.reduce((length, one) => length + one.length + 1, 0) + column - 1;
  area.focus();
  area.setSelectionRange(start, start);
}
