// Schedules as people say them, and back: a form for the usual ones, cron for the rest.

export type Rhythm = "minutes" | "hour" | "day" | "weekday" | "week" | "month" | "cron";

/** What the form of a schedule holds; `cron` is the text that is stored. */
export interface Plan {
  readonly rhythm: Rhythm;
  readonly time: string;
  readonly minute: number;
  readonly every: number;
  readonly day: number;
  readonly date: number;
}

export const RHYTHMS: readonly { readonly value: Rhythm; readonly title: string }[] = [
  { value: "weekday", title: "Every weekday" },
  { value: "day", title: "Every day" },
  { value: "week", title: "Once a week" },
  { value: "month", title: "Once a month" },
  { value: "hour", title: "Every hour" },
  { value: "minutes", title: "Every few minutes" },
  { value: "cron", title: "As a cron expression" },
];
export const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;
export const EVERY = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30] as const;
export const TIME = /^([01]\d|2[0-3]):[0-5]\d$/;

const USUAL: Plan = { rhythm: "cron", time: "08:00", minute: 0, every: 15, day: 1, date: 1 };
const WHOLE = /^\d{1,2}$/;

/** The form that a cron expression is; what no form can say stays an expression. */
export function planOf(cron: string): Plan {
  const [minute = "", hour = "", date = "", month = "", day = "", ...more] = cron.trim().split(/\s+/);
  if (more.length || month !== "*") return USUAL;
  const every = minute === "*" ? 1 : Number(/^\*\/(\d{1,2})$/.exec(minute)?.[1] ?? 0);
  if (every && hour === "*" && date === "*" && day === "*") {
    return EVERY.includes(every as (typeof EVERY)[number]) ? { ...USUAL, rhythm: "minutes", every } : USUAL;
  }
  if (!WHOLE.test(minute) || Number(minute) > 59) return USUAL;
  if (hour === "*" && date === "*" && day === "*") return { ...USUAL, rhythm: "hour", minute: Number(minute) };
  if (!WHOLE.test(hour) || Number(hour) > 23) return USUAL;
  const time = `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
  if (date === "*" && day === "*") return { ...USUAL, rhythm: "day", time };
  if (date === "*" && /^(1-5|MON-FRI)$/i.test(day)) return { ...USUAL, rhythm: "weekday", time };
  if (date === "*" && /^[0-6]$/.test(day)) return { ...USUAL, rhythm: "week", time, day: Number(day) };
  if (day === "*" && WHOLE.test(date) && Number(date) >= 1 && Number(date) <= 28) {
    return { ...USUAL, rhythm: "month", time, date: Number(date) };
  }
  return USUAL;
}

/** The cron expression of a form. */
export function cronOf(plan: Plan): string {
  const [hour = 8, minute = 0] = plan.time.split(":").map(Number);
  switch (plan.rhythm) {
    case "minutes":
      return plan.every === 1 ? "* * * * *" : `*/${plan.every} * * * *`;
    case "hour":
      return `${plan.minute} * * * *`;
    case "day":
      return `${minute} ${hour} * * *`;
    case "weekday":
      return `${minute} ${hour} * * 1-5`;
    case "week":
      return `${minute} ${hour} * * ${plan.day}`;
    case "month":
      return `${minute} ${hour} ${plan.date} * *`;
    case "cron":
      return "0 8 1-7 * 1";
  }
}

/** "every weekday at 08:00 in Europe/Berlin"; the expression itself where no form says it. */
export function scheduleWords(cron: string, zone: string): string {
  const plan = planOf(cron);
  const where = `in ${zone}`;
  switch (plan.rhythm) {
    case "minutes":
      return plan.every === 1 ? `every minute ${where}` : `every ${plan.every} minutes ${where}`;
    case "hour":
      return `every hour at minute ${String(plan.minute).padStart(2, "0")} ${where}`;
    case "day":
      return `every day at ${plan.time} ${where}`;
    case "weekday":
      return `every weekday at ${plan.time} ${where}`;
    case "week":
      return `every ${DAYS[plan.day] ?? "week"} at ${plan.time} ${where}`;
    case "month":
      return `on day ${plan.date} of every month at ${plan.time} ${where}`;
    case "cron":
      return `${cron} ${where}`;
  }
}

/** The time zones that this browser knows, UTC first. */
export function zones(): readonly string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}
