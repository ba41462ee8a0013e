// Quick add: type what the step shall do, Enter adds it connected.
import { useState } from "react";
import type { Dialog } from "../store";
import { useChoices } from "./choices";
import { ComboboxDialog } from "./Combobox";
import type { Commands, Where } from "./commands";
import { useActions, useEditor } from "./context";

export function AddDialog({
  dialog,
  commands,
}: {
  readonly dialog: Dialog & { readonly kind: "add" };
  readonly commands: Commands;
}) {
  const actions = useActions();
  const [text, setText] = useState("");
  const choices = useChoices(text);
  const { after, port, link, position } = dialog;
  const where = useEditor(({ definition: { steps, links } }) => {
    const into = link === undefined ? undefined : links[link];
    if (into) return `between ${steps[into.source]?.name ?? ""} and ${steps[into.target]?.name ?? ""}`;
    return after === null ? "not connected yet" : `after ${steps[after]?.name ?? after}`;
  });
  return (
    <ComboboxDialog
      label="Add a step"
      placeholder="What shall the step do?"
      options={choices}
      onText={setText}
      onTake={({ id }) => {
        const found = choices.find((one) => one.id === id);
        actions.close();
        if (found) commands.add(found.choice, placeOf({ after: after ?? undefined, port, link, position }));
      }}
      onClose={actions.close}
      foot={`Enter adds it ${where}`}
      empty="Nothing of that name. Try what it does, such as read, check or write."
    />
  );
}

function placeOf(where: Where): Where {
  return where;
}
