// The dialogs around a draft: somebody else saved first, a copy of this browser goes on from an older draft,
// a test run, sending it for sign-off.
import { useState } from "react";
import { comparison } from "../../graph/comparison";
import type { Conflict } from "../../draft";
import { useActions, useEditData, useEditor } from "../context";
import { Icon } from "../Icon";
import { Dialog } from "./Dialog";
import { SubmitDialog } from "./SubmitDialog";
import { TestRunDialog } from "./TestRunDialog";
import { useMendKey } from "./useMending";

const MAX_LINES = 60;

export function Dialogs() {
  useMendKey();
  return (
    <>
      <SignedOutBanner />
      <OpenDialog />
    </>
  );
}

function OpenDialog() {
  const conflict = useEditor((state) => state.conflict);
  const offered = useEditor((state) => state.offered);
  const dialog = useEditor((state) => state.dialog?.kind);
  const { close } = useActions();
  if (conflict) return <ConflictDialog conflict={conflict} />;
  if (offered) return <RestoreDialog at={offered.at} />;
  if (dialog === "test") return <TestRunDialog onClose={close} />;
  if (dialog === "submit") return <SubmitDialog onClose={close} />;
  return null;
}

/** Shown while the session has ended: the work stays here, and is saved after signing in again. */
function SignedOutBanner() {
  const isSignedOut = useEditor((state) => state.save.kind === "signed_out");
  const { urls } = useEditData();
  if (!isSignedOut) return null;
  return (
    <div className="flow-banner floating signed-out tone-caution" role="alert">
      <Icon name="i-lock" small />
      <span>You are signed out. Your changes are kept in this browser and saved when you have signed in again.</span>
      <a className="button button--s" href={urls.sign_in} target="_blank" rel="noopener">
        Sign in again
      </a>
    </div>
  );
}

function ConflictDialog({ conflict }: { readonly conflict: Conflict }) {
  const definition = useEditor((state) => state.definition);
  const { resolve } = useActions();
  const [isComparing, setComparing] = useState(false);
  const who = conflict.by?.name ?? "Somebody else";
  const when = conflict.at ? timeWords(Date.parse(conflict.at)) : "meanwhile";
  const lines = comparison(conflict.base, definition, conflict.theirs);
  return (
    <Dialog
      width="wide"
      mustChoose
      title="Somebody else has saved this draft"
      onClose={() => undefined}
      foot={
        <>
          <button
            className="button"
            type="button"
            onClick={() => {
              resolve("theirs");
            }}
          >
            Take the changes of {who}
          </button>
          <button
            className="button"
            type="button"
            onClick={() => {
              resolve("mine");
            }}
          >
            Keep mine
          </button>
          {conflict.together && (
            <button
              className="button button--primary"
              type="button"
              onClick={() => {
                resolve("together");
              }}
            >
              Keep both
            </button>
          )}
        </>
      }
    >
      <p>
        <b>{who}</b> saved it {when}. You have changes that go on from the draft before. Nothing is overwritten until you
        choose; whatever you choose can be undone.
      </p>
      {conflict.together ? (
        <p className="hint">You changed different places, so both can be kept.</p>
      ) : (
        <p className="hint">You both changed the same place, so one of the two goes.</p>
      )}
      <button
        className="button button--s"
        type="button"
        aria-expanded={isComparing}
        onClick={() => {
          setComparing(!isComparing);
        }}
      >
        <Icon name="i-split" small />
        {isComparing ? "Hide the differences" : `Compare ${lines.length} ${lines.length === 1 ? "difference" : "differences"}`}
      </button>
      {isComparing && (
        <div className="compare-frame" tabIndex={0} role="region" aria-label="Differences">
          <table className="table compare">
            <thead>
              <tr>
                <th scope="col">Place</th>
                <th scope="col">Yours</th>
                <th scope="col">{who}</th>
                <th scope="col">Changed by</th>
              </tr>
            </thead>
            <tbody>
              {lines.slice(0, MAX_LINES).map((line) => (
                <tr key={line.where}>
                  <th scope="row">{line.where}</th>
                  <td>{line.ours}</td>
                  <td>{line.theirs}</td>
                  <td>{{ you: "you", them: who, both: "both" }[line.by]}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {lines.length > MAX_LINES && <p className="hint">and {lines.length - MAX_LINES} more</p>}
        </div>
      )}
    </Dialog>
  );
}

function RestoreDialog({ at }: { readonly at: number }) {
  const { restore } = useActions();
  return (
    <Dialog
      mustChoose
      title="This browser has changes that were not saved"
      onClose={() => undefined}
      foot={
        <>
          <button
            className="button"
            type="button"
            onClick={() => {
              restore(false);
            }}
          >
            Throw them away
          </button>
          <button
            className="button button--primary"
            type="button"
            data-first
            onClick={() => {
              restore(true);
            }}
          >
            Restore them
          </button>
        </>
      }
    >
      <p>
        They are from {timeWords(at)}, and the draft was saved by somebody since. Restoring puts them in place of the
        saved draft as one edit that can be undone.
      </p>
    </Dialog>
  );
}

function timeWords(milliseconds: number): string {
  return new Date(milliseconds).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
