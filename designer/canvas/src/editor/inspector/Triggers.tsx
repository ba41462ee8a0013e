// What starts runs of the workflow by itself: the triggers by name, each opened to change it.
import { lazy, Suspense, useState } from "react";
import { addTrigger, newTriggerId, removeTrigger } from "../../graph/edits";
import { scheduleWords } from "../../graph/schedules";
import type { Trigger } from "../../schema.gen";
import { Icon } from "../Icon";
import { AddLine, IconButton, Section } from "./controls";
import { useInspector } from "./context";

type Source = Trigger["source"];

const ICONS: Readonly<Record<Source["type"], string>> = { schedule: "i-clock", webhook: "i-link", event: "i-bell" };
// Fetched when one is opened: most workflows have none.
const TriggerFields = lazy(async () => ({ default: (await import("./later")).TriggerFields }));

export function Triggers() {
  const { apply, definition } = useInspector();
  const [open, setOpen] = useState<string | null>(null);
  const triggers = Object.entries(definition.triggers ?? {});
  return (
    <Section title="Triggers" aside={triggers.length ? `${triggers.length} beside a person` : "What starts runs by itself"}>
      <ul className="list-editor">
        {triggers.map(([id, trigger]) => (
          <li key={id} className="list-editor__item">
            <div role="group" aria-label={`Trigger ${trigger.name}`} data-place={`triggers.${id}`}>
              <div className="row">
                <button
                  className="list-editor__head grow"
                  type="button"
                  aria-expanded={open === id}
                  aria-controls={`trigger-${id}`}
                  onClick={() => {
                    setOpen(open === id ? null : id);
                  }}
                >
                  <Icon name={ICONS[trigger.source.type]} small />
                  <span className="truncate">{trigger.name}</span>
                  <span className="small subtle truncate">{wordsOf(trigger.source)}</span>
                </button>
                <IconButton
                  label={`Remove the trigger ${trigger.name}`}
                  icon="i-trash"
                  onPress={() => {
                    apply(`Remove the trigger ${trigger.name}`, (document) => removeTrigger(document, { trigger: id }));
                  }}
                />
              </div>
              <div className="list-editor__body stack" id={`trigger-${id}`} hidden={open !== id}>
                {open === id && (
                  <Suspense fallback={<span className="hint">Loading …</span>}>
                    <TriggerFields id={id} trigger={trigger} />
                  </Suspense>
                )}
              </div>
            </div>
          </li>
        ))}
      </ul>
      <AddLine
        label="Name of a new trigger"
        verb="Add"
        check={(name) => (name.length > 120 ? "At most 120 characters." : triggers.length >= 20 ? "At most 20 triggers." : "")}
        onAdd={(name) => {
          setOpen(newTriggerId(definition, name));
          apply(`Add the trigger ${name}`, (document) => addTrigger(document, { name }));
        }}
      />
    </Section>
  );
}

function wordsOf(source: Source): string {
  if (source.type === "schedule") return scheduleWords(source.cron, source.zone ?? "UTC");
  return source.type === "event" ? source.event : "signed requests";
}
