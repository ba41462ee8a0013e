// Connecting without drawing: choose the way out, when there are several, and then the step that follows.
// A step that follows already can be chosen too: then the link is removed.
import { useMemo, useState } from "react";
import { portsOf, portWord, roundsWord } from "../graph/ports";
import { leadsBack, linkId, USUAL_ROUNDS, whyNotConnect } from "../graph/rules";
import type { Step, WorkflowDefinition } from "../schema.gen";
import type { Dialog } from "../store";
import { ranked } from "./choices";
import { ComboboxDialog, type Option } from "./Combobox";
import type { Commands } from "./commands";
import { useActions, useEditor } from "./context";
import { iconOf, kindWord } from "./Icon";

export function ConnectDialog({
  dialog,
  commands,
}: {
  readonly dialog: Dialog & { readonly kind: "connect" };
  readonly commands: Commands;
}) {
  const { source } = dialog;
  const definition = useEditor((state) => state.definition);
  const step = definition.steps[source];
  const [chosen, setChosen] = useState(dialog.port);
  if (!step) return null;
  const ports = portsOf(step);
  const port = chosen ?? (ports.length === 1 ? ports[0] : undefined);
  return port === undefined ? (
    <PortList key="port" definition={definition} source={source} step={step} onTake={setChosen} />
  ) : (
    <TargetList key="target" source={source} port={port} step={step} commands={commands} />
  );
}

function PortList({
  definition,
  source,
  step,
  onTake,
}: {
  readonly definition: WorkflowDefinition;
  readonly source: string;
  readonly step: Step;
  readonly onTake: (port: string) => void;
}) {
  const actions = useActions();
  const [text, setText] = useState("");
  const options = useMemo(
    () =>
      ranked(
        portsOf(step).map((port) => {
          const names = Object.values(definition.links).flatMap((link) =>
            link.source === source && link.port === port
              ? [definition.steps[link.target]?.name ?? link.target]
              : [],
          );
          return {
            id: port,
            group: "When the result is",
            icon: "i-corner",
            title: capital(portWord(step, port)),
            note: names.length ? `leads to ${names.join(", ")}` : "leads nowhere yet",
            words: port,
          };
        }),
        text,
      ),
    [definition, source, step, text],
  );
  return (
    <ComboboxDialog
      label={`Connect ${step.name}: which way out?`}
      placeholder="Which way out?"
      options={options}
      onText={setText}
      onTake={({ id }) => {
        onTake(id);
      }}
      onClose={actions.close}
      foot="Enter chooses the way out, then the step that follows"
      empty="No such way out."
    />
  );
}

function TargetList({
  source,
  port,
  step,
  commands,
}: {
  readonly source: string;
  readonly port: string;
  readonly step: Step;
  readonly commands: Commands;
}) {
  const actions = useActions();
  const definition = useEditor((state) => state.definition);
  const [text, setText] = useState("");
  const options = useMemo(
    () => targetsOf(definition, source, port, text),
    [definition, source, port, text],
  );
  const way = portsOf(step).length > 1 ? ` (${portWord(step, port)})` : "";
  return (
    <ComboboxDialog
      label={`Connect ${step.name}${way} to`}
      placeholder="Which step follows?"
      options={options}
      onText={setText}
      onTake={({ id }) => {
        actions.close();
        if (id === NEW) actions.open({ kind: "add", after: source, port });
        else if (definition.links[linkId({ source, port, target: id })]) {
          commands.disconnect({ source, port, target: id });
        } else commands.connect({ source, port, target: id });
      }}
      onClose={actions.close}
      foot="Enter connects; a step that follows already is disconnected"
      empty="No step of that name."
    />
  );
}

const NEW = "+";
const GROUPS = ["Follows now", "Steps", "Earlier steps", "Not possible"];

function rankOf({ group }: { readonly group: string }): number {
  return GROUPS.indexOf(group);
}

function targetsOf(
  definition: WorkflowDefinition,
  source: string,
  port: string,
  text: string,
): readonly Option[] {
  const steps = Object.entries(definition.steps)
    .filter(([, step]) => step.kind !== "start")
    .map(([id, step]) => {
      const ends = { source, port, target: id };
      const isLinked = linkId(ends) in definition.links;
      const barred = isLinked ? null : whyNotConnect(definition, ends);
      const isBack = !isLinked && !barred && leadsBack(definition, ends);
      return {
        id,
        group: isLinked ? "Follows now" : barred ? "Not possible" : isBack ? "Earlier steps" : "Steps",
        icon: isLinked ? "i-check" : iconOf(step),
        title: step.name,
        note: isLinked ? "Enter disconnects it" : isBack ? `leads back, ${roundsWord(USUAL_ROUNDS)}` : kindWord(step),
        barred: barred ?? undefined,
        words: id,
      };
    });
  const found = ranked(steps, text).toSorted((a, b) => rankOf(a) - rankOf(b));
  const more = {
    id: NEW,
    group: "New",
    icon: "i-plus",
    title: "A new step",
    note: "choose what it does",
    barred: undefined,
  };
  return text.trim() && found.length ? found : [...found, more];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
