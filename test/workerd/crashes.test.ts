/// <reference types="vite/types/importMeta.d.ts" />
import { abortAllDurableObjects, evictAllDurableObjects } from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FailpointName, watchFailpoints } from "../../control-plane/failpoint.ts";
import { forgetEarlierAudit } from "./support/audit.ts";
import { type CrashScenario, isCrashScenario } from "./support/crash-scenario.ts";
import { setProbing } from "./support/shard-settings.ts";
import {
  expectOffered,
  expectRules,
  expectToJoinOffline,
  startWitness,
  stayAway,
  watch,
  type Witness,
} from "./support/witness.ts";
import { eventually } from "../support/eventually.ts";

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
  .flatMap(([path, source]) =>
    [...source.matchAll(/\bfailpoint\(([^)]*)\)/g)].map(([, argument = ""]) => ({
      argument,
      path,
      isObject: source.includes("extends DurableObject"),
    })),
  );
const names = calls.flatMap(({ argument }) => /^"([a-z-]+\.[a-z-]+)"$/.exec(argument)?.[1] ?? []);

function isName(name: string): name is FailpointName {
  return name.includes(".");
}

/** The one that a failpoint has, and those beside it. */
function scenariosFor(name: string): readonly CrashScenario[] {
  const [flow, step = ""] = name.split(".");
  const candidates = scenarios.filter((scenario) => scenario.flow === flow);
  const own = candidates.filter(({ beside }) => beside === undefined);
  const one = own.find(({ steps }) => steps?.includes(step)) ?? own.find(({ steps }) => steps === undefined);
  const others = candidates.filter(({ beside, steps }) => beside !== undefined && steps?.includes(step) !== false);
  return one === undefined ? [] : [one, ...others];
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

let current: Witness | undefined;

/** One serves for some crashes: what one player may ask for in a minute is limited. */
async function nextWitness(): Promise<Witness> {
  if (current === undefined || current.looks >= 40) current = await startWitness();
  return current;
}

const losses = { evicted: evictAllDurableObjects, aborted: abortAllDurableObjects };

beforeAll(forgetEarlierAudit);
afterEach(async () => {
  watchFailpoints(undefined);
  await setProbing(false);
});

describe("the failpoints of the master", () => {
  it("have literal names, each at one place", () => {
    expect(names).toHaveLength(calls.length);
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toHaveLength(0);
  });

  it("each have a scenario, and each scenario has failpoints", () => {
    expect(names.filter((name) => scenariosFor(name).length === 0)).toEqual([]);
    const used = new Set(names.flatMap(scenariosFor));
    expect(scenarios.filter((scenario) => !used.has(scenario)).map(({ flow, steps }) => ({ flow, steps }))).toEqual([]);
  });
});

describe.each(scenarios.map((scenario) => ({ scenario, flow: scenario.flow, steps: scenario.steps ?? ["*"] })))(
  "the flow $flow ($steps)",
  ({ scenario }) => {
    it("comes to its end when nothing stops", async () => {
      const run = await scenario.prepare();
      await run.begin(() => false);
      await run.carryOn();
      await expect(run.check()).resolves.toBeUndefined();
      await run.finish?.();
    });
  },
);

/** Everywhere all objects are aborted; evicting them, which is gentler and takes seconds, is tried once a class of objects. */
const evictedAt = new Set(
  [
    ...Map.groupBy(
      calls.filter(({ isObject }) => isObject),
      ({ path }) => path,
    ).values(),
  ].map(([first]) => first?.argument.slice(1, -1)),
);
const cases = names.filter(isName).flatMap((name) => {
  const ways = evictedAt.has(name) ? (["aborted", "evicted"] as const) : (["aborted"] as const);
  return scenariosFor(name).flatMap((scenario) =>
    (scenario.beside === undefined ? ways : (["aborted"] as const)).map((loss) => ({ name, loss, scenario })),
  );
});

describe("a crash", () => {
  it.each(cases)(
    "at $name, with all objects $loss, breaks no rule",
    { timeout: 90_000 },
    async ({ name, loss, scenario }) => {
      const lose = losses[loss];
      const witness = await nextWitness();
      const before = await watch(witness);
      const run = await scenario.prepare();
      const crash = stopAt(name);
      await run.begin(crash.reached).catch(() => undefined);
      await eventually(() => expect(crash.reached(), `${name} was not reached`).toBe(true));
      await expectToJoinOffline(witness, before);
      await lose();
      crash.revive();
      await stayAway();
      await expectOffered(witness);
      await run.carryOn();
      await run.check();
      await expectRules(witness, before);
      await lose();
      await run.check();
      await expectRules(witness, before);
      await run.finish?.();
    },
  );
});
