/** The thread of a {@link ./watchdog.ts}: kills the process when its main thread has stopped turning. */
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { describeMark } from "./hook-names.ts";
import { beatCell, markCell, type WatchdogOrders } from "./watchdog.ts";

const orders = readOrders(workerData);
const cells = new Int32Array(orders.cells);
/** Not the clock's time: where the whole machine or process stood still, so did this thread, and nobody is to blame. */
let silentMs = 0;
let lastBeat = -1;
let lastLookMs = performance.now();

setInterval(() => {
  const now = performance.now();
  const sinceLookMs = Math.min(now - lastLookMs, orders.lookEveryMs * 2);
  lastLookMs = now;
  const beat = Atomics.load(cells, beatCell);
  silentMs = beat === lastBeat ? silentMs + sinceLookMs : 0;
  lastBeat = beat;
  if (silentMs < orders.timeoutMs) return;
  const where = describeMark(Atomics.load(cells, markCell), orders.plugins);
  const msg = `the main thread has not turned for ${Math.round(silentMs)} ms, stuck in ${where}: killing the process`;
  const line = { level: "error", time: new Date().toISOString(), event: "watchdog", stuckIn: where, msg };
  try {
    // The log belongs to the main thread.
    writeSync(2, `${JSON.stringify(line)}\n`);
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}, orders.lookEveryMs);

function readOrders(data: unknown): WatchdogOrders {
  if (typeof data === "object" && data !== null && "cells" in data && "plugins" in data && "timeoutMs" in data) {
    const { cells, plugins, timeoutMs } = data;
    const lookEveryMs = "lookEveryMs" in data ? data.lookEveryMs : undefined;
    if (
      cells instanceof SharedArrayBuffer &&
      Array.isArray(plugins) &&
      typeof timeoutMs === "number" &&
      typeof lookEveryMs === "number"
    ) {
      return { cells, plugins: plugins.map(String), timeoutMs, lookEveryMs };
    }
  }
  throw new TypeError("a watchdog without orders");
}
