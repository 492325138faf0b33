import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { readMasterSettings } from "../../control-plane/settings.ts";
import { RegistryShard } from "../../control-plane/worker.ts";
import { SeatJournal } from "../../data-plane/master-link/seat-journal.ts";
import { type LinkCommand, type LinkReport, maxReportSeats, type SeatRef } from "../../protocol/index.ts";
import { startCluster, type TestCluster } from "./support/clusters.ts";
import { allocate, logIn } from "./support/players.ts";
import { setReportInterval } from "./support/shard-settings.ts";

const shard = env.REGISTRY_SHARD.getByName("default.0");

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
    storage.sql.exec("UPDATE clusters SET state = 'gone'");
    // Joins of made-up players are told to nobody: it would keep the machine busy for seconds.
    storage.sql.exec(
      "CREATE TRIGGER IF NOT EXISTS told_to_nobody AFTER INSERT ON outbox BEGIN DELETE FROM outbox; END",
    );
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function passSeconds(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}

let count = 0;
/** A player whose ticket the shard has never seen; the shard takes it for its cluster's word. */
function stranger(): SeatRef {
  count += 1;
  return { reservationId: `r${count}`, playerId: `p${count}`, generation: 1 };
}

/** Who is in the game at the cluster, as its shard has it. */
async function playersAt({ id }: TestCluster): Promise<string[]> {
  return runInDurableObject(shard, (_: RegistryShard, { storage }) =>
    storage.sql
      .exec<{ player: string }>(
        "SELECT player_id AS player FROM seats WHERE cluster_id = ? AND joined_generation IS NOT NULL ORDER BY player_id",
        id,
      )
      .toArray()
      .map(({ player }) => player),
  );
}

async function totalsOf({ id }: TestCluster) {
  return runInDurableObject(shard, (_: RegistryShard, { storage }) => {
    const kept = storage.sql.exec("SELECT seats, joined, players FROM clusters WHERE cluster_id = ?", id).one();
    const counted = storage.sql
      .exec("SELECT count(*) AS seats, count(joined_generation) AS joined FROM seats WHERE cluster_id = ?", id)
      .one();
    return { kept, counted };
  });
}

/** Hands a report to the shard, as it would arrive over HTTPS. */
async function tell(cluster: TestCluster, report: LinkReport): Promise<readonly LinkCommand[]> {
  const answer = await shard.heartbeat(cluster.id, cluster.token, report);
  if (!answer.ok) throw new Error(`${answer.code}: ${answer.detail}`);
  return answer.response.commands;
}

/** Lets the shard take all that the journal has to tell, part after part. */
async function reconcile(cluster: TestCluster, journal: SeatJournal): Promise<void> {
  for (let complete = true; ; complete = false) {
    passSeconds(6);
    const report = journal.report(complete, true);
    const commands = await tell(cluster, report);
    for (const command of commands) if (command.type === "ack") journal.acknowledge(command.sequence);
    if (!journal.isListing && !journal.hasNews) return;
  }
}

describe("a full report in parts", () => {
  it("of 5,000 players is taken whole, and those who left meanwhile are gone", async () => {
    const cluster = await startCluster();
    const journal = new SeatJournal();
    const seats = Array.from({ length: 5_000 }, stranger);
    for (const seat of seats) journal.joined(seat);
    await reconcile(cluster, journal);
    expect(await playersAt(cluster)).toHaveLength(5_000);
    // A process that has forgotten whom it told of, as after a change of the number of shards: it lists everyone. Its reports are numbered on.
    const again = new SeatJournal();
    for (let index = 0; index < 29; index += 1) again.report(false);
    for (const seat of seats.slice(200)) again.joined(seat);
    const late = stranger();
    const { part, joined, sequence } = again.report(true, true);
    expect([part, joined.length]).toEqual([{ of: 30, index: 0, last: false }, maxReportSeats]);
    await tell(cluster, { type: "report", sequence, full: true, part, players: 4_800, joined, left: [] });
    again.acknowledge(sequence);
    again.joined(late);
    again.left(seats[2_400] ?? late);
    while (again.isListing || again.hasNews) {
      passSeconds(6);
      const report = again.report(false);
      expect(await playersAt(cluster)).toContain(seats[0]?.playerId);
      for (const command of await tell(cluster, report))
        if (command.type === "ack") again.acknowledge(command.sequence);
    }
    const expected = [...seats.slice(200), late].filter((seat) => seat !== seats[2_400]);
    expect(await playersAt(cluster)).toEqual(expected.map(({ playerId }) => playerId).toSorted());
    const { kept, counted } = await totalsOf(cluster);
    expect(kept).toMatchObject(counted);
  });

  it("that is cut off changes nobody's departure, through a loss of the object's memory, and begins anew", async () => {
    const cluster = await startCluster();
    const journal = new SeatJournal();
    const seats = Array.from({ length: 1_200 }, stranger);
    for (const seat of seats) journal.joined(seat);
    await reconcile(cluster, journal);
    const stays = new SeatJournal();
    for (let index = 0; index < 9; index += 1) stays.report(false);
    for (const seat of seats.slice(0, 1_100)) stays.joined(seat);
    passSeconds(6);
    await tell(cluster, stays.report(true, true));
    await evictDurableObject(shard);
    expect(await playersAt(cluster)).toHaveLength(1_200);
    await reconcile(cluster, stays);
    expect(await playersAt(cluster)).toHaveLength(1_100);
  });

  it("with a part left out is taken as changes", async () => {
    const cluster = await startCluster();
    const [a, b, c] = [stranger(), stranger(), stranger()];
    await tell(cluster, { type: "report", sequence: 1, full: true, players: 3, joined: [a, b, c], left: [] });
    const part = (index: number, last: boolean) => ({ of: 2, index, last });
    await tell(cluster, {
      type: "report",
      sequence: 2,
      full: true,
      part: part(0, false),
      players: 1,
      joined: [a],
      left: [],
    });
    await tell(cluster, {
      type: "report",
      sequence: 4,
      full: true,
      part: part(2, true),
      players: 1,
      joined: [],
      left: [],
    });
    expect(await playersAt(cluster)).toHaveLength(3);
  });

  it("keeps the seat of a player who reserves another ticket meanwhile", async () => {
    const cluster = await startCluster();
    const player = await logIn();
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    const claims: { rsv: string; gen: number } = JSON.parse(
      atob(ticket.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/") ?? ""),
    );
    const seat = { playerId: player.player.id, reservationId: claims.rsv, generation: claims.gen };
    await tell(cluster, {
      type: "report",
      sequence: 1,
      full: true,
      part: { of: 1, index: 0, last: false },
      players: 1,
      joined: [seat],
      left: [],
    });
    await allocate(player, { clusterId: cluster.id });
    await tell(cluster, {
      type: "report",
      sequence: 2,
      full: true,
      part: { of: 1, index: 1, last: true },
      players: 1,
      joined: [],
      left: [],
    });
    expect(await playersAt(cluster)).toEqual([player.player.id]);
  });
});

/** A generator of numbers from 0 to below 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("after any sequence of reports that are lost, repeated and out of order", () => {
  it.each([1, 2, 3, 4])(
    "a reconcile ends with exactly the cluster's players: seed %d",
    async (seed) => {
      const random = seeded(seed);
      const cluster = await startCluster();
      const journal = new SeatJournal();
      const present = new Map<string, SeatRef>();
      const onTheWay: LinkReport[] = [];
      for (let step = 0; step < 60; step += 1) {
        const many = random() < 0.1 ? 700 : 1 + Math.floor(random() * 3);
        for (let index = 0; index < many; index += 1) {
          const seat = stranger();
          present.set(seat.playerId, seat);
          journal.joined(seat);
        }
        for (const seat of present.values()) {
          if (random() > 0.2) continue;
          present.delete(seat.playerId);
          journal.left(seat);
        }
        onTheWay.push(journal.report(random() < 0.3, true));
        const pick = Math.floor(random() * onTheWay.length);
        const report = onTheWay[pick];
        if (report === undefined || random() < 0.2) continue;
        if (random() < 0.7) onTheWay.splice(pick, 1);
        passSeconds(6);
        const commands = await tell(cluster, report);
        const heard = random() < 0.7;
        for (const command of commands) if (heard && command.type === "ack") journal.acknowledge(command.sequence);
        // Takes seconds: once a run.
        if (step === 30) await evictDurableObject(shard, { webSockets: "hibernate" });
      }
      await reconcile(cluster, journal);
      expect(await playersAt(cluster)).toEqual([...present.keys()].toSorted());
      const { kept, counted } = await totalsOf(cluster);
      expect(kept).toEqual({ ...counted, players: present.size });
    },
    60_000,
  );
});

const usualIntervalMs = readMasterSettings(env).reportIntervalMs;

/** What an acknowledgement says of how often to report: the interval, and the least time between two where it is told. */
function paceOf(commands: readonly LinkCommand[]): readonly number[] {
  const [ack] = commands;
  if (ack?.type !== "ack") throw new Error("it is acknowledged");
  return [ack.reportIntervalMs, ...(ack.gapMs === undefined ? [] : [ack.gapMs])];
}

describe("the pace of reports", () => {
  it("slows down with the number of clusters that report", async () => {
    const cluster = await startCluster();
    expect(await cluster.report()).toMatchObject([{ reportIntervalMs: 1_000 }]);
    const others = await Promise.all(Array.from({ length: 14 }, () => startCluster()));
    let last: readonly LinkCommand[] = [];
    for (const other of others) last = await other.report();
    expect(last).toMatchObject([{ reportIntervalMs: 1_000, gapMs: 150 }]);
  });

  it("is dictated by the shard's load, on the link and with a heartbeat alike, up and down and within its bounds", async () => {
    // At the usual setting it takes over a hundred busy clusters to change the interval itself.
    await setReportInterval(50);
    onTestFinished(async () => setReportInterval(usualIntervalMs));
    // Whoever reported before is not busy any more.
    passSeconds(120);
    const [cluster, ...others] = await Promise.all(Array.from({ length: 13 }, () => startCluster()));
    if (cluster === undefined) throw new Error("it was started");
    const link = await cluster.openLink();
    const onLink = async () => {
      link.send(cluster.nextReport({ full: true }));
      return paceOf([await link.nextCommand()]);
    };
    const overHttps = async () => paceOf(await cluster.report({ full: true }));
    const both = async () => [await onLink(), await overHttps()];
    // Alone it would be due each 10 ms: the setting is the least.
    expect(await both()).toEqual([
      [50, 10],
      [50, 10],
    ]);
    for (const busy of [6, 9, 13]) {
      for (const other of others.slice(0, busy - 1)) await other.report();
      const intervalMs = Math.max(50, busy * 10);
      expect(await both()).toEqual([
        [intervalMs, busy * 10],
        [intervalMs, busy * 10],
      ]);
    }
    // The others fall silent: two intervals of 15 s later none of them is busy.
    for (let second = 0; second < 45; second += 5) {
      passSeconds(5);
      await onLink();
    }
    expect(await both()).toEqual([
      [50, 10],
      [50, 10],
    ]);
    await setReportInterval(60_000);
    expect(await both()).toEqual([[15_000], [15_000]]);
    link.close();
  });
});

describe("an idle fleet", () => {
  it("wakes its shard once a lease period, to sweep", async () => {
    const clusters = await Promise.all(Array.from({ length: 20 }, () => startCluster()));
    const links = await Promise.all(clusters.map((cluster) => cluster.openLink()));
    for (const [index, link] of links.entries()) {
      link.send(clusters[index]?.nextReport({ full: true }) ?? "");
      expect(await link.nextCommand()).toMatchObject({ type: "ack", quiet: true });
    }
    const wakes = {
      messages: vi.spyOn(RegistryShard.prototype, "webSocketMessage"),
      closes: vi.spyOn(RegistryShard.prototype, "webSocketClose"),
      calls: vi.spyOn(RegistryShard.prototype, "heartbeat"),
      requests: vi.spyOn(RegistryShard.prototype, "fetch"),
      alarms: vi.spyOn(RegistryShard.prototype, "alarm"),
    };
    const dueAt = async () => runInDurableObject(shard, async (_: RegistryShard, { storage }) => storage.getAlarm());
    for (let period = 1; period <= 3; period += 1) {
      for (let ping = 0; ping < 3; ping += 1) {
        passSeconds(10);
        for (const link of links) {
          link.send("ping");
          expect(await link.next()).toEqual({ text: "pong" });
        }
      }
      await runInDurableObject(shard, (_: RegistryShard, state) => {
        // The platform stamps pings with its own clock, which stands where it stood.
        vi.spyOn(state, "getWebSocketAutoResponseTimestamp").mockReturnValue(new Date());
      });
      await runDurableObjectAlarm(shard);
      expect(wakes.alarms).toHaveBeenCalledTimes(period);
      expect(await dueAt()).toBeGreaterThanOrEqual(Date.now() + 29_000);
    }
    const { alarms: _, ...others } = wakes;
    for (const [name, spy] of Object.entries(others)) expect(spy, name).not.toHaveBeenCalled();
    // Everyone is still offered.
    const states = await runInDurableObject(shard, (_: RegistryShard, { storage }) =>
      storage.sql.exec("SELECT DISTINCT state FROM clusters WHERE state <> 'gone'").toArray(),
    );
    expect(states).toEqual([{ state: "ready" }]);
  });
});
