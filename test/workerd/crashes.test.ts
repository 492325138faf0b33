/// <reference types="vite/types/importMeta.d.ts" />
import { abortAllDurableObjects, evictAllDurableObjects } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type FailpointName, watchFailpoints } from "../../control-plane/failpoint.ts";
import { forgetEarlierAudit } from "./support/audit.ts";
import { type CrashScenario, isCrashScenario } from "./support/crash-scenario.ts";

/*
 * The master may stop anywhere. Every place between two durable steps that the sources mark with `failpoint` is crashed at here:
 * what to do to have a new one covered stands in support/crash-scenario.ts.
 */

const sources = import.meta.glob<string>("../../control-plane/**/*.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});
const modules = import.meta.glob<Readonly<Record<string, unknown>>>("./crashes/*.ts", { eager: true });

const scenarios = Object.values(modules).flatMap((module) => Object.values(module).filter(isCrashScenario));
const calls = Object.entries(sources)
  .filter(([path]) => !path.endsWith("/failpoint.ts") && !path.endsWith(".test.ts"))
  .flatMap(([, source]) => [...source.matchAll(/\bfailpoint\(([^)]*)\)/g)].map(([, argument = ""]) => argument));
const names = calls.flatMap((argument) => /^"([a-z-]+\.[a-z-]+)"$/.exec(argument)?.[1] ?? []);

function isName(name: string): name is FailpointName {
  return name.includes(".");
}

function scenarioFor(name: string): CrashScenario | undefined {
  const [flow, step = ""] = name.split(".");
  const candidates = scenarios.filter((scenario) => scenario.flow === flow);
  return candidates.find(({ steps }) => steps?.includes(step)) ?? candidates.find(({ steps }) => steps === undefined);
}

/** Everything stops at `name`, and stays so until `revive`. */
function stopAt(name: FailpointName): { readonly reached: () => boolean; readonly revive: () => void } {
  let reached = false;
  watchFailpoints((passed) => {
    reached ||= passed === name;
    if (reached) throw new Error(`stopped at ${passed} by the test`);
  });
  return { reached: () => reached, revive: () => watchFailpoints(undefined) };
}

const losses = { evicted: evictAllDurableObjects, aborted: abortAllDurableObjects };

beforeAll(forgetEarlierAudit);
afterEach(() => watchFailpoints(undefined));

describe("the failpoints of the master", () => {
  it("have literal names, each at one place", () => {
    expect(names).toHaveLength(calls.length);
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toHaveLength(0);
  });

  it("each have a scenario, and each scenario has failpoints", () => {
    expect(names.filter((name) => scenarioFor(name) === undefined)).toEqual([]);
    const used = new Set(names.map(scenarioFor));
    expect(scenarios.filter((scenario) => !used.has(scenario)).map(({ flow, steps }) => ({ flow, steps }))).toEqual([]);
  });
});

describe.each(scenarios.map((scenario) => ({ scenario, flow: scenario.flow, steps: scenario.steps ?? ["*"] })))(
  "the flow $flow ($steps)",
  ({ scenario }) => {
    it("comes to its end when nothing stops", async () => {
      const run = await scenario.prepare();
      await run.begin();
      await run.carryOn();
      await expect(run.check()).resolves.toBeUndefined();
      await run.finish?.();
    });
  },
);

/** Everywhere all objects are aborted; evicting them, which is gentler and takes seconds, is tried once a flow. */
const flows = new Set<string>();
const cases = names.filter(isName).flatMap((name) => {
  const flow = name.slice(0, name.indexOf("."));
  const isFirst = !flows.has(flow);
  flows.add(flow);
  return (isFirst ? (["aborted", "evicted"] as const) : (["aborted"] as const)).map((loss) => ({ name, loss }));
});

describe("a crash", () => {
  it.each(cases)("at $name, with all objects $loss, breaks no rule", { timeout: 90_000 }, async ({ name, loss }) => {
    const lose = losses[loss];
    const run = await scenarioFor(name)?.prepare();
    if (run === undefined) throw new Error(`no scenario for ${name}`);
    const crash = stopAt(name);
    await run.begin().catch(() => undefined);
    await vi.waitFor(() => expect(crash.reached(), `${name} was not reached`).toBe(true), 5_000);
    await lose();
    crash.revive();
    await run.carryOn();
    await run.check();
    await lose();
    await run.check();
    await run.finish?.();
  });
});
