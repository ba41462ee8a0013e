import { describe, expect, it } from "vitest";
import { cronOf, EVERY, planOf, RHYTHMS, scheduleWords, zones } from "./schedules";

describe("schedules", () => {
  it.each([
    ["0 8 * * 1-5", "every weekday at 08:00 in UTC"],
    ["30 6 * * *", "every day at 06:30 in UTC"],
    ["*/15 * * * *", "every 15 minutes in UTC"],
    ["5 * * * *", "every hour at minute 05 in UTC"],
    ["0 7 * * 1", "every Monday at 07:00 in UTC"],
    ["0 7 1 * *", "on day 1 of every month at 07:00 in UTC"],
  ])("%s is said in words and comes back", (cron, words) => {
    expect(scheduleWords(cron, "UTC")).toBe(words);
    expect(cronOf(planOf(cron))).toBe(cron);
  });

  it.each(["0 8 1-7 * 1", "0 8 * 6 *", "*/7 * * * *", "0 0 31 * *", "nonsense", "", "0 8 * * 1-5 x", "61 8 * * *"])(
    "%s stays an expression",
    (cron) => {
      expect(planOf(cron).rhythm).toBe("cron");
      expect(scheduleWords(cron, "UTC")).toBe(`${cron} in UTC`);
    },
  );

  it("each form gives an expression that is read back as that form", () => {
    for (const { value } of RHYTHMS) {
      if (value === "cron") continue;
      for (const every of EVERY) {
        const plan = { rhythm: value, time: "17:05", minute: 7, every, day: 3, date: 15 };
        expect(planOf(cronOf(plan)).rhythm).toBe(value);
      }
    }
  });

  it("knows time zones", () => {
    expect(zones()[0]).toBe("UTC");
    expect(zones()).toContain("Europe/Berlin");
  });
});
