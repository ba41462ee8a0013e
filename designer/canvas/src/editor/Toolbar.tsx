// What stands in the page's top bar: whether the work is safe, undo and redo, who else is here, what is
// wrong, and the two ways on. The page leaves places for them (`#editor-status`, `#editor-actions`).
import { useEffect, useState, type ReactNode } from "react";
import { createPortal } from "react-dom";
import { countOf } from "../graph/examination";
import type { SaveState } from "../draft";
import { useActions, useEditData, useEditor } from "./context";
import { Icon, StateIcon } from "./Icon";
import { initialsOf } from "./words";

export function Toolbar({ hasDialogs }: { readonly hasDialogs: boolean }) {
  return (
    <>
      <InPage id="editor-status">
        <BegunDraft />
        <SaveMark />
        <UndoRedo />
      </InPage>
      <InPage id="editor-actions">
        <Others />
        <CheckSummary />
        {hasDialogs && <WaysOn />}
      </InPage>
    </>
  );
}

/** In the page's own place, or here when the page has none. */
function InPage({ id, children }: { readonly id: string; readonly children: ReactNode }) {
  const [place] = useState(() => document.getElementById(id));
  return place ? createPortal(children, place) : <div className="editor-bar">{children}</div>;
}

/** The first change begins a draft; the page's own badges still say what was there when it opened. */
function BegunDraft() {
  const { draft: opened } = useEditData();
  const draft = useEditor((state) => state.draft);
  if (opened.revision > 0 || draft.revision === 0) return null;
  const word = `Draft of v${draft.number}`;
  return (
    <span className="badge tone-idle">
      <StateIcon look={{ word, tone: "idle", shape: "s-draft" }} />
      {word}
    </span>
  );
}

function SaveMark() {
  const save = useEditor((state) => state.save);
  const actions = useActions();
  const { urls } = useEditData();
  const look = saveLook(save);
  return (
    <span className={`autosave small tone-${look.tone}`} role="status" title={look.title}>
      <Icon name={look.icon} small />
      <span>
        {save.kind === "saved" && save.at !== null ? <Ago at={save.at} /> : look.word}
        {look.why && <span className="autosave__why">: {look.why}</span>}
      </span>
      {save.kind === "offline" && (
        <button className="button button--s" type="button" onClick={actions.retry}>
          Try now
        </button>
      )}
      {save.kind === "signed_out" && (
        <a className="button button--s" href={urls.sign_in} target="_blank" rel="noreferrer">
          Sign in
        </a>
      )}
    </span>
  );
}

interface SaveLook {
  readonly word: string;
  /** Read out everywhere, seen where there is room. */
  readonly why?: string;
  readonly icon: string;
  readonly tone: string;
  readonly title: string;
}

function saveLook(save: SaveState): SaveLook {
  switch (save.kind) {
    case "saved":
      return { word: "Saved", icon: "i-check", tone: "good", title: "The server has everything." };
    case "unsaved":
      return { word: "Not saved yet", icon: "i-pen", tone: "idle", title: "Saved when you pause." };
    case "saving":
      return { word: "Saving", icon: "i-pen", tone: "idle", title: "On its way to the server." };
    case "offline":
      return { word: "Not saved", why: "offline", icon: "i-wifi-off", tone: "caution", title: `${save.message} Kept in this browser; tried again by itself.` };
    case "signed_out":
      return { word: "Not saved", why: "signed out", icon: "i-key", tone: "caution", title: "Kept in this browser. Saved as soon as you are signed in again." };
    case "conflict":
      return { word: "Not saved", why: "changed by somebody else", icon: "i-users", tone: "bad", title: "Choose which changes count." };
    case "refused":
      return { word: "Not saved", icon: "i-triangle", tone: "bad", title: save.message };
  }
}

const SECOND = 1_000;

/** "Saved just now", "Saved 20 s ago"; advances by itself. */
function Ago({ at }: { readonly at: number }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
    }, 5 * SECOND);
    return () => {
      clearInterval(timer);
    };
  }, []);
  const seconds = Math.round(Math.max(0, now - at) / SECOND);
  if (seconds < 10) return "Saved just now";
  if (seconds < 60) return `Saved ${seconds} s ago`;
  if (seconds < 3_600) return `Saved ${Math.floor(seconds / 60)} min ago`;
  return <time dateTime={new Date(at).toISOString()}>{`Saved ${new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}`}</time>;
}

function UndoRedo() {
  const actions = useActions();
  const undo = useEditor((state) => state.history.past.at(-1)?.label);
  const redo = useEditor((state) => state.history.future[0]?.label);
  return (
    <>
      <HistoryButton word="Undo" keys="Ctrl+Z" icon="i-undo" label={undo} onPress={actions.undo} />
      <HistoryButton word="Redo" keys="Ctrl+Shift+Z" icon="i-redo" label={redo} onPress={actions.redo} />
    </>
  );
}

function HistoryButton({
  word,
  keys,
  icon,
  label,
  onPress,
}: {
  readonly word: string;
  readonly keys: string;
  readonly icon: string;
  readonly label: string | undefined;
  readonly onPress: () => void;
}) {
  return (
    <button
      className="icon-button"
      type="button"
      aria-label={label === undefined ? word : `${word}: ${label}`}
      aria-disabled={label === undefined}
      title={label === undefined ? `Nothing to ${word.toLowerCase()}` : `${word}: ${label} (${keys})`}
      onClick={onPress}
    >
      <Icon name={icon} />
    </button>
  );
}

function Others() {
  const others = useEditor((state) => state.others);
  const newer = useEditor((state) => state.newer);
  const actions = useActions();
  return (
    <>
      {newer && (
        <button className="button button--s" type="button" onClick={() => void actions.takeNewer()}>
          <Icon name="i-refresh" />
          Show what was saved meanwhile
        </button>
      )}
      {others.length > 0 && (
        <span className="presence small subtle">
          {others.slice(0, 3).map((one) => (
            <span key={one.id} className="avatar" title={`${one.name} has this draft open`} aria-hidden="true">
              {initialsOf(one.name)}
            </span>
          ))}
          <span className="truncate">
            {others.length === 1
              ? `${others[0]?.name ?? ""} is here too`
              : `${others.length} others are here`}
          </span>
        </span>
      )}
    </>
  );
}

/** How many errors and warnings; a press leads to the first. */
function CheckSummary() {
  const examination = useEditor((state) => state.examination);
  const check = useEditor((state) => state.check);
  const actions = useActions();
  if (check.kind === "offline" || check.kind === "refused") {
    return (
      <span className="check-summary small tone-caution" role="status" title={check.message}>
        <Icon name="i-wifi-off" small />
        {check.kind === "offline" ? "Cannot check" : check.message}
      </span>
    );
  }
  if (!examination) return <span className="check-summary small subtle">Checking</span>;
  const errors = countOf(examination.findings, "error");
  const warnings = countOf(examination.findings, "warning");
  const first =
    examination.findings.find((finding) => finding.severity === "error") ??
    examination.findings.find((finding) => finding.severity === "warning");
  if (!first) {
    return (
      <span className="check-summary small tone-good" role="status">
        <StateIcon look={{ word: "No errors", tone: "good", shape: "s-fits" }} />
        No errors
      </span>
    );
  }
  const words = [
    errors ? `${errors} ${errors === 1 ? "error" : "errors"}` : "",
    warnings ? `${warnings} ${warnings === 1 ? "warning" : "warnings"}` : "",
  ].filter(Boolean);
  return (
    <button
      className={`check-summary button button--s button--quiet ${errors ? "tone-bad" : "tone-caution"}`}
      type="button"
      title={`To the first: ${first.message}`}
      onClick={() => {
        actions.show({ step: first.step ?? null, link: first.link ?? null, field: first.field ?? null });
      }}
    >
      <StateIcon
        look={{
          word: words.join(", "),
          tone: errors ? "bad" : "caution",
          shape: errors ? "s-misfit" : "s-caution",
        }}
      />
      {words.join(", ")}
    </button>
  );
}

function WaysOn() {
  const { can } = useEditData();
  const actions = useActions();
  return (
    <>
      {can.test_run && (
        <button
          className="button"
          type="button"
          aria-label="Test run, T"
          title="Test run (T)"
          onClick={() => {
            actions.open({ kind: "test" });
          }}
        >
          <Icon name="i-flask" />
          <span className="button__word">Test run</span>
          <kbd>T</kbd>
        </button>
      )}
      {can.submit && (
        <button
          className="button button--primary"
          type="button"
          aria-label="Send for sign-off"
          title="Send for sign-off"
          onClick={() => {
            actions.open({ kind: "submit" });
          }}
        >
          <Icon name="i-seal" />
          <span className="button__word">Send for sign-off</span>
        </button>
      )}
    </>
  );
}
