import type { CountDelta } from "../../domain/metrics/metric-counts.ts";
import type { GaugeSample } from "../../domain/metrics/metric-exposition.ts";
import { regionOfShard } from "../../domain/clusters/sharding.ts";
import { logEvent } from "../../log.ts";
import { metricsKeeperNames } from "../../metrics.ts";
import { withDeadline } from "../deadline.ts";
import type { RecordBacklog } from "../records/record-outbox.ts";
import { allRecordKeepers, auditLog, registryShard } from "../remote.ts";
import { shardsIn } from "../shard/shard-directory.ts";
import type { ShardGauges } from "../shard/shard-gauges.ts";

/** Longest wait for one object, and for all. */
const sourceTimeoutMs = 2_000;
const allTimeoutMs = 6_000;
/** Objects that are asked at once. */
const parallelSources = 32;
/** Most objects that one answer asks: a request may make a thousand calls. */
const maxSources = 512;

/** One object that is asked. */
interface Source {
  readonly of: "shard" | "record-keeper" | "audit-log" | "metrics-keeper";
  readonly ask: () => Promise<{ readonly samples?: readonly GaugeSample[]; readonly counts?: readonly CountDelta[] }>;
}

/** What all objects say about themselves, as far as they answer in time. */
export async function gatherMetrics(
  env: Env,
  nowMs: number,
): Promise<{ readonly samples: readonly GaugeSample[]; readonly counts: readonly (readonly CountDelta[])[] }> {
  const endsAtMs = nowMs + allTimeoutMs;
  const samples: GaugeSample[] = [];
  const counts: (readonly CountDelta[])[] = [];
  const all = await sourcesOf(env, nowMs);
  const sources = all.slice(0, maxSources);
  let complete = sources.length === all.length;
  const ask = async (source: Source): Promise<void> => {
    const answer = Date.now() < endsAtMs ? await answerOf(source) : undefined;
    complete &&= answer !== undefined;
    samples.push({ gauge: "sources", labels: [source.of, String(answer !== undefined)], value: 1 });
    samples.push(...(answer?.samples ?? []));
    if (answer?.counts !== undefined) counts.push(answer.counts);
  };
  for (let start = 0; start < sources.length; start += parallelSources) {
    await Promise.all(sources.slice(start, start + parallelSources).map(ask));
  }
  return { samples: [...samples, { gauge: "complete", labels: [], value: complete ? 1 : 0 }], counts };
}

async function answerOf(source: Source) {
  try {
    return await withDeadline(source.ask(), sourceTimeoutMs, `a ${source.of}`);
  } catch (error) {
    logEvent("warn", "metrics.no_answer", { of: source.of, error });
    return undefined;
  }
}

/** Each object that holds something to watch. Players' sessions are not among them: they are as many as players. */
async function sourcesOf(env: Env, nowMs: number): Promise<readonly Source[]> {
  const shards = await shardsIn(env, undefined);
  return [
    ...metricsKeeperNames().map((name): Source => ({
      of: "metrics-keeper",
      ask: async () => ({ counts: [...(await env.METRICS_KEEPER.getByName(name).counts())] }),
    })),
    ...allRecordKeepers(env).map((keeper): Source => ({
      of: "record-keeper",
      ask: async () => ({ samples: samplesOfBacklog("players", await keeper.backlog(), nowMs) }),
    })),
    {
      of: "audit-log",
      ask: async () => ({ samples: [{ gauge: "auditPending", labels: [], value: await auditLog(env).pending() }] }),
    },
    // Last, as there may be more of them than are asked.
    ...shards.map((name): Source => ({
      of: "shard",
      ask: async () => ({ samples: samplesOfShard(name, await registryShard(env, name).gauges(), nowMs) }),
    })),
  ];
}

function samplesOfShard(shard: string, gauges: ShardGauges, nowMs: number): readonly GaugeSample[] {
  const region = regionOfShard(shard);
  const { outbox } = gauges;
  return [
    ...gauges.states.flatMap((row): GaugeSample[] => [
      { gauge: "clusters", labels: [region, row.state], value: row.clusters },
      { gauge: "locked", labels: [region], value: row.locked },
      { gauge: "links", labels: [region], value: row.linked },
      { gauge: "seats", labels: [region, "held"], value: row.seats - row.joined },
      { gauge: "seats", labels: [region, "joined"], value: row.joined },
      { gauge: "players", labels: [region], value: row.state === "gone" ? 0 : row.players },
      { gauge: "capacity", labels: [region], value: row.state === "ready" ? row.capacity : 0 },
    ]),
    { gauge: "outboxMessages", labels: [region], value: outbox.waiting },
    { gauge: "outboxAge", labels: [region], value: ageSeconds(outbox.oldestAtMs, nowMs) },
    ...samplesOfBacklog("seats", gauges.records, nowMs),
  ];
}

function samplesOfBacklog(of: string, backlog: RecordBacklog, nowMs: number): readonly GaugeSample[] {
  return [
    { gauge: "recordsWaiting", labels: [of], value: backlog.waiting },
    { gauge: "recordsAge", labels: [of], value: ageSeconds(backlog.oldestAtMs, nowMs) },
    { gauge: "recordsLost", labels: [of], value: backlog.lost },
    { gauge: "recordsRefused", labels: [of], value: backlog.refused },
  ];
}

function ageSeconds(atMs: number | undefined, nowMs: number): number {
  return atMs === undefined ? 0 : Math.max(0, (nowMs - atMs) / 1_000);
}
