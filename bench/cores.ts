import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Which core the servers run on, and which the load and everything else. */
export interface Cores {
  readonly server: number;
  readonly load: number;
}

/** Busy and whole time of one core since the machine started, in clock ticks. */
export interface CoreTime {
  readonly busy: number;
  readonly total: number;
}

/** Open files that the largest scenario needs in one process: 5,000 connections and what is left of earlier ones. */
const neededFiles = 8_000;

/**
 * Says what the machine lacks for the measurements, or `undefined`.
 * The kernel's accounts are needed, so it is Linux only.
 */
export function machineFault(cores: Cores): string | undefined {
  if (process.platform !== "linux") return "the benchmarks run on Linux only: they read /proc";
  if (spawnSync("taskset", ["--version"]).status !== 0) return "taskset is missing: install util-linux";
  for (const core of [cores.server, cores.load]) {
    if (readCoreTime(core) === undefined) return `there is no core ${core}: two cores are needed`;
  }
  if (cores.server === cores.load) return "the servers and the load need a core each";
  const files = maxOpenFiles();
  if (files < neededFiles) {
    return `only ${files} open files are allowed, ${neededFiles} are needed: run "ulimit -n ${neededFiles}" first`;
  }
  return undefined;
}

/** Moves this process, with all its threads, to one core. */
export function pinThisProcess(core: number): void {
  const { status, stderr } = spawnSync("taskset", ["-a", "-c", "-p", String(core), String(process.pid)]);
  if (status !== 0) throw new Error(`could not move to core ${core}: ${stderr.toString().trim()}`);
}

export function readCoreTime(core: number): CoreTime | undefined {
  const line = new RegExp(`^cpu${core} (.+)$`, "m").exec(readFileSync("/proc/stat", "utf8"))?.[1];
  if (line === undefined) return undefined;
  // user nice system idle iowait irq softirq steal; guest time is part of user.
  const times = line.split(" ").slice(0, 8).map(Number);
  const total = times.reduce((sum, time) => sum + time, 0);
  return { busy: total - (times[3] ?? 0) - (times[4] ?? 0), total };
}

/** Share of the time between two readings in which the core was busy, with whatever: 0 to 1. */
export function busyShare(before: CoreTime, after: CoreTime): number {
  const total = after.total - before.total;
  return total <= 0 ? 0 : (after.busy - before.busy) / total;
}

function maxOpenFiles(): number {
  const value = /^Max open files +(\w+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return value === "unlimited" ? Number.POSITIVE_INFINITY : Number(value ?? 0);
}
