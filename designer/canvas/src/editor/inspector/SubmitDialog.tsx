// Sending the draft for sign-off: a comment for whoever signs, what still stands in the way, and the review.
import { useState } from "react";
import { sendJson } from "../../api";
import { countOf } from "../../graph/examination";
import { useActions, useEditData, useGetState } from "../context";
import { BlockingErrors } from "./BlockingErrors";
import { Dialog } from "./Dialog";
import { TextField } from "./controls";
import { useErrors } from "./useErrors";
import { VerdictWord } from "./Mapping";

interface Submitted {
  readonly version: { readonly number: number };
  /** Address of the review; null when nobody needs to sign. */
  readonly review: string | null;
}

export function SubmitDialog({ onClose }: { readonly onClose: () => void }) {
  const { urls, workflow } = useEditData();
  const { save } = useActions();
  const getState = useGetState();
  const [reason, setReason] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const [result, setResult] = useState<Submitted | null>(null);
  const { errors, findings } = useErrors();
  const canSend = findings !== null && errors.length === 0 && reason.trim() !== "" && !isBusy;
  const send = async () => {
    if (!canSend) return;
    setBusy(true);
    setProblem("");
    try {
      if (!(await save())) throw new Error("The draft is not saved yet, so it cannot be sent.");
      const { revision } = getState().draft;
      setResult(await sendJson<Submitted>("POST", urls.submit, { revision, reason: reason.trim() }));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "The server did not answer.");
    } finally {
      setBusy(false);
    }
  };
  if (result) return <Sent result={result} name={workflow.name} versions={urls.versions} />;
  return (
    <Dialog
      title="Send for sign-off"
      onClose={onClose}
      foot={
        <>
          <button className="button" type="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button button--primary" type="button" aria-disabled={!canSend || undefined} onClick={() => void send()}>
            {isBusy ? "Sending …" : "Send for sign-off"}
          </button>
        </>
      }
    >
      <p>
        The draft becomes a version that nobody can change. Somebody in compliance, or another business owner, who wrote
        none of it, signs it off; then it can be published.
      </p>
      {errors.length > 0 ? (
        <div className="stack stack--s">
          <VerdictWord tone="bad" shape="s-misfit" word={errors.length === 1 ? "Mend 1 error first" : `Mend ${errors.length} errors first`} />
          <BlockingErrors errors={errors} onClose={onClose} />
        </div>
      ) : (
        <Warnings count={countOf(findings ?? [], "warning")} isKnown={findings !== null} />
      )}
      <TextField
        label="Comment"
        lines={3}
        max={2_000}
        value={reason}
        hint="What changed and why, for whoever signs."
        onCommit={setReason}
      />
      {problem && (
        <p className="hint hint--bad" role="alert">
          {problem}
        </p>
      )}
    </Dialog>
  );
}

function Warnings({ count, isKnown }: { readonly count: number; readonly isKnown: boolean }) {
  if (!isKnown) return <p className="hint">The draft has not been checked yet.</p>;
  if (count === 0) return <VerdictWord tone="good" shape="s-fits" word="Nothing to mend" />;
  return <VerdictWord tone="caution" shape="s-caution" word={count === 1 ? "1 warning goes with it" : `${count} warnings go with it`} />;
}

/** The draft is a version now: there is nothing more to edit here, so the page goes on to it. */
function Sent({ result, name, versions }: { readonly result: Submitted; readonly name: string; readonly versions: string }) {
  const { review, version } = result;
  const leave = () => {
    window.location.assign(versions);
  };
  return (
    <Dialog
      title="Sent for sign-off"
      onClose={leave}
      foot={
        <>
          {review && (
            <a className="button" href={review}>
              Open the review
            </a>
          )}
          <a className="button button--primary" href={versions}>
            Go to the versions
          </a>
        </>
      }
    >
      <p>
        Version {version.number} of {name} waits for a colleague. You cannot sign it yourself.
      </p>
    </Dialog>
  );
}
