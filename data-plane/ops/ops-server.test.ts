import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { encodeMessage } from "../../protocol/index.ts";
import type { Player } from "../plugin/player.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

async function get(path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${cluster.server.opsPort}${path}`, init);
  return { status: response.status, text: await response.text() };
}

/** Samples by name and labels, as they are written. */
function samples(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line): [string, number] => {
      const match = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
      if (match === null) throw new Error(`no sample: ${line}`);
      return [match[1] ?? "", Number(match[2])];
    }),
  );
}

const settings = { opsPort: 0, tickHz: 100 };

describe("health and metrics", () => {
  it("[OPS-1] are off unless they are asked for", async () => {
    cluster = await startTestCluster();
    expect(cluster.server.opsPort).toBe(undefined);
  });

  it("tell whether players can join: not before it is registered, and not once it is told to stop", async () => {
    let finish: () => void = () => undefined;
    cluster = await startTestCluster({
      settings,
      enrolled: false,
      plugin: { onDrain: () => new Promise<void>((resolve) => (finish = resolve)) },
    });
    expect(await get("/health")).toEqual({ status: 200, text: '{"status":"ok"}' });
    expect(await get("/ready")).toEqual({ status: 503, text: '{"status":"not-registered"}' });
    const stopping = cluster.server.stop();
    expect(await get("/ready")).toEqual({ status: 503, text: '{"status":"draining"}' });
    expect((await get("/health")).status).toBe(200);
    finish();
    await stopping;
    await expect(get("/health")).rejects.toThrow("fetch failed");
  });

  it("stay ready while the master is away", async () => {
    cluster = await startTestCluster({ settings });
    expect(await get("/ready")).toEqual({ status: 200, text: '{"status":"ready"}' });
    await cluster.master.stop();
    await until("the link to go", () => cluster.log.text().includes("next try in"));
    expect((await get("/ready")).status).toBe(200);
    expect(samples((await get("/metrics")).text).get("sustenet_link_up")).toBe(0);
    await cluster.master.listen();
  });

  it("count what happens", async () => {
    cluster = await startTestCluster({
      settings,
      plugin: {
        name: 'the "game"',
        onMessage: () => {
          throw new Error("broken");
        },
      },
    });
    const client = await cluster.joined();
    const stranger = await cluster.connected();
    stranger.join(`${(await cluster.master.ticket()).slice(0, -4)}AAAA`);
    await stranger.gone();
    client.send(encodeMessage({ command: 1, payload: new Uint8Array() }));
    await until("the failure", () => cluster.server.metrics.pluginErrors["onMessage"] === 1);
    await until("ticks", () => cluster.server.metrics.ticks > 10);
    const { text } = await get("/metrics");
    const read = samples(text);
    expect(Object.fromEntries(read)).toMatchObject({
      'sustenet_connections{state="joined"}': 1,
      sustenet_players: 1,
      sustenet_joins_total: 1,
      'sustenet_refusals_total{reason="TICKET_BAD_SIGNATURE"}': 1,
      'sustenet_plugin_errors_total{plugin="the \\"game\\"",hook="onMessage"}': 1,
      'sustenet_plugin_breaker_state{plugin="the \\"game\\"",hook="onMessage"}': 0,
      sustenet_registered: 1,
      sustenet_link_up: 1,
      sustenet_draining: 0,
      sustenet_queued_bytes: 0,
    });
    expect(read.get("sustenet_received_bytes_total")).toBeGreaterThan(500);
    expect(read.get("sustenet_tick_seconds_count")).toBeGreaterThan(10);
    expect(read.get('sustenet_tick_seconds_bucket{le="+Inf"}')).toBe(read.get("sustenet_tick_seconds_count"));
    expect(read.get('sustenet_event_loop_lag_seconds{quantile="0.99"}')).toBeLessThan(10);
    // Each family is explained once.
    const explained = [...text.matchAll(/^# TYPE (\S+) (?:counter|gauge|histogram)$/gm)].map(([, name]) => name);
    expect(new Set(explained).size).toBe(explained.length);
    for (const name of read.keys()) {
      expect(explained).toContain(/^[a-z_]+/.exec(name)?.[0]?.replace(/^(\w+_seconds)_(?:bucket|sum|count)$/, "$1"));
    }
  });

  it("tell what ticks and hooks took beyond what they had, which hook is off, and what waits for whom", async () => {
    const held: Player[] = [];
    let ticked = false;
    let heard = 0;
    cluster = await startTestCluster({
      settings,
      limits: {
        hookBudgetMs: 5,
        maxQueuedBytes: 100_000_000,
        maxQueuedFrames: 1_000_000,
        breaker: {
          failures: 2,
          share: 0.5,
          players: 3,
          windowMs: 600_000,
          openMs: 600_000,
          maxOpenMs: 600_000,
          trials: 1,
        },
      },
      plugin: [
        {
          name: "hog",
          onJoin: (player) => void held.push(player),
          onTick: () => {
            // Once, for 20 ticks: five of them are made up for, the others left out.
            const endMs = performance.now() + (ticked ? 0 : 200);
            ticked = true;
            while (performance.now() < endMs);
          },
          onMessage: () => {
            throw new Error("broken");
          },
        },
        { onMessage: () => void (heard += 1) },
      ],
    });
    const client = await cluster.joined();
    for (let count = 0; count < 3; count += 1) {
      client.send(encodeMessage({ command: 1, payload: new Uint8Array() }));
    }
    await until("what the next plugin hears", () => heard === 3);
    await until("ticks", () => cluster.server.metrics.ticksSkipped > 0);
    client.socket.pause();
    // More than the buffers of both kernels hold.
    for (let count = 0; count < 2_000; count += 1) held[0]?.send(1, new Uint8Array(10_000));
    const read = samples((await get("/metrics")).text);
    expect(read.get("sustenet_ticks_overrun_total")).toBeGreaterThanOrEqual(1);
    expect(read.get("sustenet_ticks_skipped_total")).toBeGreaterThanOrEqual(10);
    const onTick = '{plugin="hog",hook="onTick"}';
    expect(read.get(`sustenet_plugin_slow_total${onTick}`)).toBeGreaterThanOrEqual(1);
    expect(read.get(`sustenet_plugin_over_budget_seconds_total${onTick}`)).toBeGreaterThanOrEqual(0.19);
    expect(read.get(`sustenet_plugin_seconds_total${onTick}`)).toBeGreaterThanOrEqual(0.2);
    const onMessage = '{plugin="hog",hook="onMessage"}';
    expect(read.get(`sustenet_plugin_breaker_state${onMessage}`)).toBe(2);
    expect(read.get(`sustenet_plugin_errors_total${onMessage}`)).toBe(2);
    expect(read.get(`sustenet_plugin_left_out_total${onMessage}`)).toBe(1);
    expect(read.get("sustenet_queued_bytes_max")).toBeGreaterThan(1_000_000);
    expect(read.get("sustenet_queued_bytes")).toBe(read.get("sustenet_queued_bytes_max"));
  });

  it("[OPS-1] answer nothing else", async () => {
    cluster = await startTestCluster({ settings });
    expect((await get("/")).status).toBe(404);
    expect((await get("/metrics", { method: "POST" })).status).toBe(405);
    expect((await get("/ready?x=1")).status).toBe(200);
    expect((await get("/health", { method: "HEAD" })).text).toBe("");
  });

  it("[OPS-1] take 32 connections, and drop the next", async () => {
    cluster = await startTestCluster({ settings });
    const port = cluster.server.opsPort ?? 0;
    const sockets = Array.from({ length: 32 }, () => connect(port, "127.0.0.1"));
    await until("all", () => sockets.every((socket) => socket.readyState === "open"));
    const next = connect(port, "127.0.0.1");
    await until("its end", () => next.closed);
    expect(sockets.filter((socket) => socket.closed)).toEqual([]);
    for (const socket of sockets) socket.destroy();
    let status = 0;
    await until("room again", () => {
      void get("/health")
        .then((answer) => (status = answer.status))
        .catch(() => undefined);
      return status === 200;
    });
    expect(next.bytesRead).toBe(0);
  });

  it("keep the cluster from starting when their port is taken", async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => {
      holder.listen(0, "127.0.0.1", resolve);
    });
    const address = holder.address();
    const opsPort = address !== null && typeof address !== "string" ? address.port : 0;
    await expect(startTestCluster({ settings: { opsPort } })).rejects.toThrow(
      `Cannot listen for health and metrics at 127.0.0.1 port ${opsPort}: another process has it`,
    );
    holder.close();
    cluster = await startTestCluster();
  });
});

describe("what is written about the metrics", () => {
  const root = join(import.meta.dirname, "../..");

  async function exported(): Promise<ReadonlySet<string>> {
    cluster = await startTestCluster({ settings, plugin: { onTick: () => undefined } });
    await until("a tick", () => cluster.server.metrics.ticks > 0);
    const { text } = await get("/metrics");
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    return new Set(
      types.flatMap(([, name = "", type]) =>
        type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
  }

  it("the dashboard asks only for metrics that there are", async () => {
    const names = await exported();
    const dashboard: unknown = JSON.parse(readFileSync(join(root, "docs/grafana/cluster.json"), "utf8"));
    const expressions = [...JSON.stringify(dashboard).matchAll(/"expr":"((?:[^"\\]|\\.)*)"/g)].map(
      ([, text = ""]) => text,
    );
    const asked = expressions.flatMap((text) =>
      [...text.matchAll(/\b(?:sustenet|process)_[a-z_]+/g)].map(([name]) => name),
    );
    expect(asked.length).toBeGreaterThan(15);
    expect(asked.filter((name) => !names.has(name))).toEqual([]);
    // What a world is watched by.
    const ofTheWorld =
      /^sustenet_(?:fragment|handovers|handover_standstill_seconds_bucket|peer|entities|ghosts|saves|resumes)/;
    expect([...names].filter((name) => ofTheWorld.test(name) && !asked.includes(name))).toEqual([]);
  });

  it("docs/OPERATIONS.md lists every one, and beside the master's no other", async () => {
    const names = await exported();
    const families = [...names].map((name) => name.replace(/_(?:bucket|sum|count)$/, ""));
    const document = readFileSync(join(root, "docs/OPERATIONS.md"), "utf8");
    const listed = [...document.matchAll(/^\| `((?!sustenet_master_)(?:sustenet|process)_[a-z_]+)/gm)].map(
      ([, name = ""]) => name,
    );
    expect(listed.toSorted()).toEqual([...new Set(families)].toSorted());
  });
});
