import type { Metrics } from "../metrics.ts";
import type { HookRecord } from "../plugin/plugin-slot.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import { Exposition } from "./exposition.ts";
import { writeWorldMetrics } from "./world-metrics.ts";

/** What the metrics are read from. */
export interface MetricsSource {
  readonly metrics: Metrics;
  readonly players: number;
  readonly world: ClusterWorld | undefined;
  readonly hooks: readonly HookRecord[];
  /** Bytes that wait for each connection. */
  readonly queuedBytes: readonly number[];
  /** How late the event loop turns, in seconds, since the last reading. */
  readonly loopLag: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly registered: boolean;
  readonly linkUp: boolean;
  /** Links to other clusters of the world. */
  readonly peerLinks: number;
  readonly draining: boolean;
}

const breakerNumbers = { closed: 0, "half-open": 1, open: 2 } as const;

/** All of a cluster's metrics in the text format of Prometheus. docs/OPERATIONS.md lists them; a test holds the two together. */
export function writeMetrics(source: MetricsSource): string {
  const { metrics, hooks, loopLag } = source;
  const now = metrics.snapshot();
  const text = new Exposition();
  text.gauges("sustenet_connections", "Connections by state.", labelled("state", now.connections));
  text.gauge("sustenet_players", "Players in the game.", source.players);
  text.counter("sustenet_joins_total", "Players that joined.", now.joins);
  text.counters("sustenet_refusals_total", "Connections refused, by reason.", labelled("reason", now.refusals));
  text.counters("sustenet_departures_total", "Players that left, by reason.", labelled("reason", now.departures));
  text.counter("sustenet_received_bytes_total", "Bytes received, without TLS.", now.bytesIn);
  text.counter("sustenet_sent_bytes_total", "Bytes sent, without TLS.", now.bytesOut);
  text.counter("sustenet_received_frames_total", "Frames received.", now.framesIn);
  text.counter("sustenet_sent_frames_total", "Frames sent.", now.framesOut);
  text.counter("sustenet_writes_total", "Writes handed to the system.", now.writes);
  text.counter("sustenet_moves_refused_total", "Moves refused.", now.movesRefused);
  text.counter("sustenet_move_offenders_total", "Players who were put back again and again.", now.moveOffenders);
  text.counter("sustenet_drops_total", "Players whose connection was lost and who may come back.", now.drops);
  text.counter("sustenet_resumes_total", "Players who came back to their session.", now.resumes);
  text.counter("sustenet_budget_warnings_total", "Players who sent more than their budget.", now.budgetWarnings);
  text.counters(
    "sustenet_mail_sent_total",
    "Messages to players anywhere, by outcome.",
    labelled("outcome", now.mailSent),
  );
  text.counters(
    "sustenet_mail_received_total",
    "Mail for players here, by outcome.",
    labelled("outcome", now.mailReceived),
  );
  text.counters("sustenet_saves_total", "Saves of players, by outcome.", labelled("outcome", now.saves));
  text.counter("sustenet_late_loads_total", "Players that joined before their save had come.", now.lateLoads);
  text.counter("sustenet_overlaps_total", "Players in the game here whose authority was elsewhere.", now.overlaps);
  text.gauge("sustenet_queued_bytes", "Bytes that wait to be sent, in all.", sum(source.queuedBytes));
  text.gauge("sustenet_queued_bytes_max", "Bytes that wait for the slowest connection.", greatest(source.queuedBytes));
  text.histogram("sustenet_tick_seconds", "Time that ticks took.", metrics.tickTime);
  text.counter("sustenet_ticks_overrun_total", "Ticks that took longer than a tick's length.", now.ticksOverrun);
  text.counter("sustenet_ticks_skipped_total", "Ticks left out because the process was too late.", now.ticksSkipped);
  text.gauges("sustenet_event_loop_lag_seconds", "How late the event loop turns, since the last reading.", [
    [{ quantile: "0.5" }, loopLag.p50],
    [{ quantile: "0.99" }, loopLag.p99],
    [{ quantile: "1" }, loopLag.max],
  ]);
  writeWorldMetrics(text, source.world);
  text.counters("sustenet_handovers_total", "Handovers, by what became of them.", labelled("outcome", now.handovers));
  text.histogram(
    "sustenet_handover_standstill_seconds",
    "For how long players stood still in handovers from here.",
    metrics.handovers.standstill,
  );
  writeHooks(text, hooks);
  text.gauge("sustenet_registered", "1 once the master has taken the registration.", Number(source.registered));
  text.gauge("sustenet_link_up", "1 while the link to the master is up.", Number(source.linkUp));
  text.gauge("sustenet_peer_links", "Links to other clusters of the world.", source.peerLinks);
  text.counter("sustenet_ghosts_refused_total", "Links that ended over what they told of entities.", now.ghostsRefused);
  text.counter("sustenet_peer_rests_total", "Times that a link was not read as too much had come.", now.peerRests);
  text.gauge("sustenet_draining", "1 from the moment the cluster is told to stop.", Number(source.draining));
  const { user, system } = process.cpuUsage();
  text.counter("process_cpu_seconds_total", "CPU time of the process.", (user + system) / 1e6);
  text.gauge("process_resident_memory_bytes", "Memory of the process.", process.memoryUsage.rss());
  return text.toString();
}

function writeHooks(text: Exposition, hooks: readonly HookRecord[]): void {
  const each = (read: (record: HookRecord) => number): [Record<string, string>, number][] =>
    hooks.map((record) => [{ plugin: record.plugin, hook: record.hook }, read(record)]);
  const named = (name: string): string => `sustenet_plugin_${name}`;
  text.counters(
    named("errors_total"),
    "Calls of plugin hooks that failed.",
    each(({ failures }) => failures),
  );
  text.counters(
    named("seconds_total"),
    "Time in which plugin hooks held up everybody.",
    each(({ seconds }) => seconds),
  );
  text.counters(
    named("slow_total"),
    "Calls of plugin hooks over their budget.",
    each(({ slow }) => slow),
  );
  text.counters(
    named("over_budget_seconds_total"),
    "Time of plugin hooks beyond their budget.",
    each(({ overBudgetSeconds }) => overBudgetSeconds),
  );
  text.counters(
    named("left_out_total"),
    "Calls left out because the hook is switched off.",
    each(({ leftOut }) => leftOut),
  );
  text.gauges(
    named("breaker_state"),
    "0 closed, 1 half-open (on trial), 2 open (switched off).",
    each(({ breaker }) => breakerNumbers[breaker]),
  );
}

function labelled(label: string, counts: Readonly<Record<string, number>>): [Record<string, string>, number][] {
  return Object.entries(counts).map(([name, count]) => [{ [label]: name }, count]);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function greatest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
