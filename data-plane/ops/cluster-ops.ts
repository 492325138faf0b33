import type { Logger } from "../log.ts";
import type { ClusterWorld } from "../world/cluster-world.ts";
import { type MetricsSource, writeMetrics } from "./cluster-metrics.ts";
import { LoopLag } from "./loop-lag.ts";
import { createOpsServer, type Readiness } from "./ops-server.ts";
import { describeWorld } from "./world-metrics.ts";

export interface ClusterOpsOptions {
  readonly host: string;
  readonly port: number;
  readonly log: Logger;
  readonly readiness: () => Readiness;
  readonly world: ClusterWorld | undefined;
  /** Read anew for each scrape. */
  readonly source: () => Omit<MetricsSource, "world" | "loopLag">;
}

/** What a cluster serves to those who run it. */
export interface ClusterOps {
  readonly port: number;
  close(): void;
}

/** Serves health and metrics. @throws ListenError */
export async function openClusterOps({
  host,
  port,
  log,
  readiness,
  world,
  source,
}: ClusterOpsOptions): Promise<ClusterOps> {
  const loopLag = new LoopLag();
  loopLag.start();
  try {
    const server = await createOpsServer({
      host,
      port,
      readiness,
      world: () => describeWorld(world),
      metrics: () => writeMetrics({ ...source(), world, loopLag: loopLag.read() }),
    });
    log.info({ event: "ops", host, port: server.port }, `health and metrics at ${host}:${server.port}`);
    return {
      port: server.port,
      close: () => {
        loopLag.stop();
        server.close();
      },
    };
  } catch (error) {
    loopLag.stop();
    throw error;
  }
}
