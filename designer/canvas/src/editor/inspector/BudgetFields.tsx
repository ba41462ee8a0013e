// What one run may use: calls of agents, tokens of language models, and what both cost.
import type { BudgetPolicy, JsonValue } from "../../schema.gen";
import { NumberField, SelectField } from "./controls";

const CURRENCIES = ["EUR", "USD", "GBP", "CHF", "JPY"];
const MOST_MINOR = 10 ** 12;

type Money = NonNullable<BudgetPolicy["money"]>;

/** How many minor units one unit of a currency has: 100 for most. */
function minorUnits(currency: string): number {
  const style = new Intl.NumberFormat("en", { style: "currency", currency });
  return 10 ** (style.resolvedOptions().maximumFractionDigits ?? 2);
}

export function BudgetFields({
  budget,
  onCommit,
}: {
  readonly budget: BudgetPolicy | null | undefined;
  readonly onCommit: (budget: JsonValue | undefined) => void;
}) {
  const calls = budget?.calls ?? null;
  const tokens = budget?.tokens ?? null;
  const money = budget?.money ?? null;
  const currency = money?.currency ?? "EUR";
  const units = minorUnits(currency);
  const commit = (change: { calls?: number | null; tokens?: number | null; money?: Money | null }) => {
    const wanted = Object.entries({ calls, tokens, money, ...change });
    const changed = Object.fromEntries(wanted.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
    onCommit(Object.keys(changed).length ? (changed as JsonValue) : undefined);
  };
  return (
    <>
      <NumberField
        label="Calls of agents in a run"
        place="policies.budget.calls"
        value={calls}
        min={1}
        max={1_000_000}
        whole
        optional="As many as it takes"
        hint="Further tries and items of a list count too. The step that would need one more fails."
        onCommit={(many) => {
          commit({ calls: many });
        }}
      />
      <NumberField
        label="Tokens of models in a run"
        place="policies.budget.tokens"
        value={tokens}
        min={1}
        max={MOST_MINOR}
        whole
        optional="As many as it takes"
        hint="What language models read and write. A call reserves the most that it can take, and counts as it was."
        onCommit={(many) => {
          commit({ tokens: many });
        }}
      />
      <NumberField
        label="Cost of a run"
        unit={currency}
        place="policies.budget.money"
        value={money && money.minor / units}
        min={1 / units}
        max={MOST_MINOR / units}
        optional="As much as it takes"
        hint="What its calls may cost in this currency, at the prices of agents and of language models."
        onCommit={(amount) => {
          commit({ money: amount === null ? null : { minor: Math.round(amount * units), currency } });
        }}
      />
      {money && (
        <SelectField
          label="Currency"
          place="policies.budget.money.currency"
          value={currency}
          options={[...new Set([currency, ...CURRENCIES])].map((code) => ({ value: code, title: code }))}
          onCommit={(code) => {
            const amount = Math.round((money.minor / units) * minorUnits(code));
            commit({ money: { minor: Math.max(1, amount), currency: code } });
          }}
        />
      )}
    </>
  );
}
