/**
 * A cluster in a process of its own, for those who attack it: started with an IPC channel, it says where it listens, and
 * answers requests for tickets and figures. It ends when the channel does.
 */
import { startTestCluster } from "../../data-plane/testing/test-cluster.ts";
import { parseOrder, type ClusterAnswer } from "./cluster-channel.ts";

const cluster = await startTestCluster({
  settings: { wsPort: 0, maxUnauthenticated: 4_096 },
  plugin: { onMessage: (player, command, reader) => void player.send(command, reader.rest()) },
});

type Line = (typeof cluster.log.lines)[number];

/** Between two turns of the event loop, in CPU time: how long a machine is busy with others is not the cluster's doing. */
let turnMs = 0;
let usedMs = cpuMs();
const turns = setInterval(() => {
  const now = cpuMs();
  turnMs = Math.max(turnMs, now - usedMs);
  usedMs = now;
}, 10);
turns.unref();

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function answer(message: ClusterAnswer): void {
  process.send?.(message);
}

process.on("message", (message) => {
  const order = parseOrder(message);
  if (order.type === "tickets") {
    void Promise.all(Array.from({ length: order.count }, () => cluster.master.ticket())).then((tickets) =>
      answer({ type: "tickets", tickets }),
    );
  } else if (order.type === "figures") {
    const longestTurnMs = turnMs;
    globalThis.gc?.();
    turnMs = 0;
    usedMs = cpuMs();
    const { connections, refusals, framesIn, joins } = cluster.server.metrics;
    const errors = cluster.log.lines.filter(isFault).map(describe);
    const { heapUsed, rss, arrayBuffers } = process.memoryUsage();
    // What the test's own master and log remember is not what is measured here.
    cluster.log.lines.length = 0;
    cluster.master.reports.length = 0;
    answer({
      type: "figures",
      connections,
      refusals,
      framesIn,
      joins,
      errors,
      turnMs: longestTurnMs,
      cpuMs: usedMs,
      heapMb: (heapUsed + arrayBuffers) / 1_048_576,
      rssMb: rss / 1_048_576,
    });
  }
});
process.on("disconnect", () => void cluster.stop().then(() => process.exit(0)));

const { port, serverName, caPem } = cluster.target;
answer({ type: "ready", port, webSocketPort: cluster.server.address?.webSocketPort ?? 0, serverName, caPem });

/** A hook that took long by the clock may have waited for the machine: turns of the event loop are measured in CPU time instead. */
function isFault({ level, fields }: Line): boolean {
  const cause = fields["err"];
  return level === "error" && !(cause instanceof Error && cause.message.startsWith("held up everybody for "));
}

/** With where it came from: such a fault may need hours to show again. */
function describe({ message, fields }: Line): string {
  const cause = fields["err"];
  return cause instanceof Error ? `${message}: ${cause.stack ?? cause.message}` : message;
}
