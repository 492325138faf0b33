/** Players who walk between two clusters of one world: separate processes, a real master, and a delay between all of them. */
import type { ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { join as joinPath } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createClient } from "../../clients/typescript/index.ts";
import { randomSource } from "../../control-plane/domain/testing/random-source.ts";
import { listAllocations } from "../../control-plane/store/history.ts";
import { findSave } from "../../control-plane/store/saves.ts";
import { decodePlayerState } from "../../data-plane/authority/player-state.ts";
import { startProcess } from "../../dev/process.ts";
import { eventually } from "../support/eventually.ts";
import { Disturbances } from "../support/handover/disturbances.ts";
import { readPage } from "../support/handover/ledger.ts";
import { faultsOf, recovered } from "../support/handover/recovery.ts";
import { AuditWorld, type Side } from "../support/handover/world.ts";
import { Walker } from "../support/handover/walker.ts";

/** Handovers of the first test; the long mode is `HANDOVERS=1000 npm test -- test/e2e/handover`. */
const wanted = Number(process.env["HANDOVERS"] ?? 30);
const delayMs = Number(process.env["HANDOVER_DELAY_MS"] ?? 80);
const walkerCount = wanted > 100 ? 20 : 6;
/** For how long whatever can break does, at random; a failure says the seed. */
const disturbedSeconds = Number(process.env["HANDOVER_DISTURBED_SECONDS"] ?? 20);
const seed = Number(process.env["HANDOVER_SEED"] ?? randomInt(2 ** 31));

const world = new AuditWorld(delayMs);
let walkers: Walker[] = [];

beforeAll(() => world.start(), 120_000);
afterAll(() => world.stop(), 60_000);
/** Where everybody is, when a test has failed. */
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.log(walkers.map((walker) => walker.describe()).join("\n"));
});

async function join(count: number): Promise<void> {
  walkers = Array.from({ length: count }, () => new Walker());
  await Promise.all(walkers.map((walker) => walker.join(world.master.url, world.cluster("west").clusterId)));
}

/** What a player sees of a handover, for who runs the long mode. */
function tellGaps(): void {
  const gaps = walkers.flatMap(({ gapsMs }) => gapsMs).toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(gaps[Math.floor(share * (gaps.length - 1))] ?? 0);
  if (wanted > 100) console.log(`${gaps.length} gaps: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`);
}

/** The cluster processes at which the walkers are. */
function holders(): string[] {
  return walkers.flatMap(({ playerId }) => world.authority.holdersOf(playerId));
}

/** A walker in a process of its own, in the game in the west. */
async function startWalker(): Promise<{ readonly playerId: string; readonly child: ChildProcess }> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { child } = startProcess({
    title: "walker",
    file: joinPath(import.meta.dirname, "../support/handover/walker-process.ts"),
    args: [world.master.url, world.cluster("west").clusterId],
    onLine: (line) => void world.log.push(`walker ${line}`),
    onMessage: (message) => {
      if (typeof message === "object" && message !== null && "playerId" in message) resolve(String(message.playerId));
    },
  });
  return { playerId: await promise, child };
}

/** A player who has been in this half of the world, and has left the game there. */
async function leaveFrom(side: Side) {
  const client = createClient({ masterUrl: world.master.url });
  const { id: playerId } = await client.login({ anonymous: true });
  const session = await client.join(await client.allocate({ fragment: side }));
  await session.leave();
  return { client, side, playerId };
}

/** Everything that was said has been answered, nothing was lost or doubled, and nobody was ever in two places. */
async function audit(): Promise<void> {
  for (const walker of walkers) walker.rest();
  await world.until("the last answers", () => walkers.every(({ sent, echoed }) => sent === echoed), 30_000);
  expect(faultsOf(world, walkers)).toEqual([]);
  // Nobody has it for the moment in which it goes from one to the other. [HAND-6]
  const isSomewhere = ({ playerId }: Walker) => world.authority.holdersOf(playerId).length === 1;
  await world.until("everybody in one place", () => walkers.every(isSomewhere), 30_000);
  await Promise.all(walkers.map(recorded));
  await world.erased.check(world.master.database);
}

/** What is said to be saved reaches the database. */
async function recorded({ playerId, saved }: Walker): Promise<void> {
  await eventually(async () => {
    const save = await findSave(world.master.database, playerId);
    const bytes = save === undefined ? undefined : decodePlayerState(Buffer.from(save.state, "base64")).saved;
    expect(bytes === undefined ? 0 : readPage(bytes).input, playerId).toBeGreaterThanOrEqual(saved);
  });
}

/** Whether a player sees everybody else where they take themselves to be. All are within sight; places come in steps of 0.01. */
function seesAll(walker: Walker): boolean {
  const placesOf = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
  const others = walkers.filter((one) => one !== walker).map(({ session }) => session?.position.x ?? 0);
  const seen = Array.from(walker.session?.world.entities() ?? [], ({ told }) => told.x);
  const expected = placesOf(others);
  const isThere = placesOf(seen).every((x, index) => Math.abs(x - (expected[index] ?? Number.NaN)) <= 0.011);
  return seen.length === others.length && isThere;
}

/** Steps at which a process is killed: all of them in turn. `HANDOVER_KILLS=some` is for who is in a hurry. */
const all = process.env["HANDOVER_KILLS"] !== "some";
const kills: readonly (readonly ["source" | "destination", string])[] = all
  ? [
      ...["prepared", "rests", "ready", "commit-asked", "commit-answered", "activated", "forwarded"].map(
        (step) => ["source", step] as const,
      ),
      ...["prepare", "transfer", "commit", "plays", "forward", "finished"].map(
        (step) => ["destination", step] as const,
      ),
    ]
  : [
      ["source", "ready"],
      ["destination", "plays"],
    ];
const clientKills = all ? ["prepared", "rests", "commit-asked", "commit", "plays"] : ["commit"];
const masterKills = all ? (["commit-asked", "commit-answered"] as const) : [];

/** Handovers go both ways: either side is source and destination all the time. */
function sideOf(party: "source" | "destination"): Side {
  return party === "source" ? "west" : "east";
}

describe(`with ${delayMs} ms each way between all parties`, () => {
  it(
    `[HAND-1] [HAND-9] ${wanted} handovers lose nothing, double nothing, and never leave a player in two places`,
    async () => {
      await join(walkerCount);
      await world.until(`${wanted} handovers`, () => world.authority.moves >= wanted, 60_000 + wanted * 2_000);
      await audit();
      tellGaps();
      for (const walker of walkers) walker.goOn();
      expect(walkers.map(({ fallbacks }) => fallbacks)).toEqual(walkers.map(() => 0));
    },
    120_000 + wanted * 2_000,
  );

  it("[GHOST-1] shows over the border exactly who stands there, where it stands", async () => {
    for (const walker of walkers) walker.rest();
    await world.until("the same view on both sides", () => walkers.every(seesAll), 30_000);
    expect([...walkers.flatMap(({ faults }) => faults), ...world.faults]).toEqual([]);
    for (const walker of walkers) walker.goOn();
  }, 60_000);

  it("[HAND-19] [MOVE-4] a teleport to the other cluster costs nothing either, and is not undone by who still walks where it was", async () => {
    const fallbacks = walkers.map((walker) => walker.fallbacks);
    const near = new Set(walkers);
    const ask = (): void => {
      for (const walker of near) walker.teleport();
    };
    ask();
    // One that was on its way over the border on foot is not teleported where it was, and the game's next try stays behind there.
    const again = setInterval(ask, 2_000);
    await world
      .until(
        "everybody far from the border, where nobody gets on foot",
        () => {
          for (const walker of near) if (Math.abs(walker.session?.position.x ?? 0) > 10) near.delete(walker);
          return near.size === 0;
        },
        50_000,
      )
      .finally(() => clearInterval(again));
    await audit();
    for (const walker of walkers) walker.goOn();
    expect(walkers.map((walker) => walker.fallbacks)).toEqual(fallbacks);
  }, 60_000);

  it(
    "[HAND-9] [HAND-12] [HAND-13] [CLOSE-4] whatever breaks, is refused or is ordered at whatever moment costs no more than what a killed cluster had not saved, leaves nobody with what was ended, and all with one picture of where everybody is",
    async () => {
      const disturbances = new Disturbances(world, walkers, randomSource(seed).below);
      const endMs = Date.now() + disturbedSeconds * 1_000;
      for (let round = 1; Date.now() < endMs; round += 1) {
        const before = new Map(walkers.map((walker) => [walker, walker.fallbacks]));
        const { what, exposed } = await disturbances.round();
        const when = `round ${round} of seed ${seed}, after ${what}`;
        if (disturbedSeconds > 20) console.log(when);
        await world.concludeEndings(when);
        await recovered(world, walkers, when);
        world.replacements.conclude();
        for (const walker of walkers) walker.rest();
        await world.until(`the same view on both sides in ${when}`, () => walkers.every(seesAll), 40_000);
        await audit();
        const fellBack = walkers.filter((walker) => !exposed.has(walker) && walker.fallbacks !== before.get(walker));
        expect(
          fellBack.map((walker) => walker.describe()),
          when,
        ).toEqual([]);
        for (const walker of walkers) walker.goOn();
      }
      disturbances.end();
      if (disturbedSeconds > 20) console.log(`what was ended was played on for ${world.endings.longestMs} ms at most`);
    },
    180_000 + disturbedSeconds * 1_000,
  );

  for (const [side, step] of kills) {
    it(`[HAND-13] a cluster that is killed as ${side}, at ${step}, costs what was not saved, and nothing else`, async () => {
      await world.killAt(sideOf(side), step);
      await recovered(world, walkers);
      expect(faultsOf(world, walkers)).toEqual([]);
    }, 120_000);
  }

  for (const step of masterKills) {
    it(`[HAND-5] a master that is killed at ${step} costs nothing at all, and nobody waits for it longer than may be`, async () => {
      const fallbacks = walkers.map((walker) => walker.fallbacks);
      const doubtful = (): number => world.cluster("west").counts?.doubtful ?? 0;
      const before = doubtful();
      await world.killMasterAt("west", step);
      // Long before so much is held that nobody may stand still any more.
      await world.until("somebody who stood still plays on in doubt", () => doubtful() > before, 10_000);
      await recovered(world, walkers);
      expect(walkers.map((walker) => walker.fallbacks)).toEqual(fallbacks);
      expect(faultsOf(world, walkers)).toEqual([]);
    }, 120_000);
  }

  for (const what of ["players", "peers"] as const) {
    it(`[HAND-12] connections of ${what} that break, again and again, cost nothing at all`, async () => {
      const fallbacks = walkers.map((walker) => walker.fallbacks);
      for (const step of ["transfer", "commit", "plays"]) {
        await world.nextStep(step);
        world.cut(what);
      }
      await recovered(world, walkers);
      expect(walkers.map((walker) => walker.fallbacks)).toEqual(fallbacks);
      expect(faultsOf(world, walkers)).toEqual([]);
    }, 120_000);
  }

  for (const step of clientKills) {
    it(`[HAND-13] a client that is killed at ${step} leaves its player in one place, and then in none`, async () => {
      // Nobody else crosses meanwhile: so the step is this player's.
      for (const walker of walkers) walker.rest();
      const { playerId, child } = await startWalker();
      await world.nextStep(step);
      child.kill("SIGKILL");
      await world.until("the end of its grace", () => world.authority.holdersOf(playerId).length === 0, 60_000);
      for (const walker of walkers) walker.goOn();
      await recovered(world, walkers);
      expect(faultsOf(world, walkers)).toEqual([]);
    }, 120_000);
  }

  it("[WORLD-6] a cluster that drains hands its players over to the one that takes its place, at no cost at all", async () => {
    const fallbacks = walkers.map((walker) => walker.fallbacks);
    await world.startCluster("spare");
    await world.until("somebody in the east", () => holders().some((holder) => holder.startsWith("east ")));
    await world.drain("east");
    await world.until(
      "the spare in the east's place",
      () =>
        holders().some((holder) => holder.startsWith("spare ")) &&
        !holders().some((holder) => holder.startsWith("east ")),
    );
    await recovered(world, walkers);
    expect(walkers.map((walker) => walker.fallbacks)).toEqual(fallbacks);
    expect(faultsOf(world, walkers)).toEqual([]);
  }, 120_000);

  it("[WORLD-8] so does one whose process is told to stop, which then ends as it should", async () => {
    const fallbacks = walkers.map((walker) => walker.fallbacks);
    // The order that it was given ends with it.
    expect(await world.stopCluster("east")).toBe("0");
    const east = await world.startCluster("east");
    await world.until("somebody at the spare", () => holders().some((holder) => holder.startsWith("spare ")));
    expect(await world.stopCluster("spare")).toBe("0");
    await world.until("the east in the spare's place", () => holders().some((holder) => holder.startsWith("east ")));
    expect(east.links).toBeGreaterThan(0);
    await recovered(world, walkers);
    expect(walkers.map((walker) => walker.fallbacks)).toEqual(fallbacks);
    expect(faultsOf(world, walkers)).toEqual([]);
  }, 120_000);

  it("[ALLOC-16] who left and names no place comes back to the cluster that carries where it was saved", async () => {
    const returners = await Promise.all(
      // In turn is how they would be given by chance: by what is least full.
      (["east", "east", "west", "west"] as const).map(leaveFrom),
    );
    for (const { client, side, playerId } of returners) {
      await eventually(async () => {
        const [newest] = await listAllocations(world.master.database, { playerId, limit: 1, nowMs: Date.now() });
        // Its seat is free: nothing but what was saved leads back.
        expect([newest?.outcome, (await findSave(world.master.database, playerId)) !== undefined]).toEqual([
          "left",
          true,
        ]);
      });
      expect((await client.allocate()).cluster.id, side).toBe(world.cluster(side).clusterId);
    }
  }, 60_000);

  it("loses nothing of anybody in the end", audit, 60_000);
});
