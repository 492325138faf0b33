import { WebSocket } from "ws";
import { z } from "zod";
import type { RegisterResponse } from "../../protocol/index.ts";
import { registerClusters } from "../master/clusters.ts";
import { type BenchMaster, startBenchMaster } from "../master/master.ts";
import { Caller } from "../master/requests.ts";
import { rowOf } from "../master/windows.ts";
import { pause } from "../side.ts";
import type { Outcome } from "../row.ts";
import type { Scenario } from "./scenario.ts";

const clusters = 1_000;
const leaseMs = 30_000;
const pingIntervalMs = 10_000;
/** Whole lease periods that are looked at. */
const periods = 2;
const opensAtOnce = 50;

const wakesSchema = z.object({
  constructions: z.number(),
  alarms: z.number(),
  messages: z.number(),
  closes: z.number(),
});

/** 1,000 clusters with their links up and nothing to tell: how often that wakes their shard, and what it costs. */
export const links: Scenario = {
  name: "links",
  needsPeers: false,
  run: async ({ cores, say }) => {
    const vars = { LEASE_MS: String(leaseMs), PING_INTERVAL_MS: String(pingIntervalMs) };
    const master = await startBenchMaster(cores, vars, say);
    const caller = new Caller(master.port, 16);
    const sockets: WebSocket[] = [];
    const timers: NodeJS.Timeout[] = [];
    try {
      say(`links: ${clusters} clusters register and link`);
      const registered = await registerClusters(master, caller, 0, clusters);
      for (let start = 0; start < registered.length; start += opensAtOnce) {
        const batch = registered.slice(start, start + opensAtOnce);
        sockets.push(...(await Promise.all(batch.map((answer) => openLink(master, answer)))));
      }
      let pongs = 0;
      for (const [index, socket] of sockets.entries()) {
        socket.on("message", () => (pongs += 1));
        const ping = () => socket.send("ping");
        timers.push(
          setTimeout(
            () => {
              ping();
              timers.push(setInterval(ping, pingIntervalMs));
            },
            (index * pingIntervalMs) / clusters,
          ),
        );
      }
      // Until the shard sleeps: the platform takes its memory after 10 s without anything to do.
      await pause(15_000);
      say(`links: idle for ${periods} lease periods`);
      const before = { wakes: await wakesOf(caller), cpuUs: master.cpuUs(), pongs };
      await pause(periods * leaseMs);
      const cpuUs = master.cpuUs() - before.cpuUs;
      const wakes = await wakesOf(caller);
      const alive = sockets.filter((socket) => socket.readyState === WebSocket.OPEN).length;
      const count = wakes.alarms + wakes.messages + wakes.closes;
      const earlier = before.wakes.alarms + before.wakes.messages + before.wakes.closes;
      const expectedPongs = ((periods * leaseMs) / pingIntervalMs) * clusters;
      const fault =
        alive < clusters
          ? `${clusters - alive} links were closed`
          : pongs - before.pongs < expectedPongs * 0.95
            ? `only ${pongs - before.pongs} of ${expectedPongs} pings were answered`
            : undefined;
      const ours: Outcome = {
        values: [(count - earlier) / periods],
        void: fault,
        detail: {
          links: alive,
          periods,
          leaseMs,
          pongs: pongs - before.pongs,
          constructions: wakes.constructions - before.wakes.constructions,
          cpuUsAPing: cpuUs / Math.max(1, pongs - before.pongs),
          cpuShare: cpuUs / (periods * leaseMs * 1_000),
        },
      };
      const allowed: Outcome = { values: [1], void: undefined, detail: {} };
      const of = { scenario: "links", against: "one wake a lease period", unit: "wakes of the shard a lease period" };
      return [rowOf({ ...of, goal: 1 }, ours, allowed)];
    } finally {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.terminate();
      caller.close();
      await master.dispose();
    }
  },
};

async function wakesOf(caller: Caller) {
  const { text } = await caller.call({ method: "GET", path: "/bench/wakes", headers: {} });
  return wakesSchema.parse(JSON.parse(text));
}

/** A link that has told everything: nobody is in the game. */
async function openLink(master: BenchMaster, answer: RegisterResponse): Promise<WebSocket> {
  const url = `ws://127.0.0.1:${master.port}/v1/clusters/${answer.clusterId}/link`;
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${answer.sessionToken}` } });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("open", () => {
      socket.send(JSON.stringify({ type: "report", sequence: 1, full: true, players: 0, joined: [], left: [] }));
    });
    socket.once("message", () => resolve());
  });
  return socket;
}
