import { join } from "node:path";
import { type Cluster, createCluster, type Logger, loadSettings, type ServerPlugin } from "../../data-plane/index.ts";
import { parseLayout } from "../../data-plane/fragments/layout-parser.ts";
import { keyName } from "../setup.ts";
import { crowdLevels, sideOf, spot, viewRange, visible } from "../world-plan.ts";
import type { Contender, ServerOptions } from "./contender.ts";

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * The cluster of this repository with a world of four fragments and a plugin that only spreads the players out. Each is shown
 * the 50 nearest of about 100 in range, all at the full rate.
 *
 * @param isCrowd whether all of them stand in one spot, where thresholds by population hold
 */
export async function startSustenetWorld(options: ServerOptions, isCrowd: boolean): Promise<Contender> {
  const { keysDir, masterUrl } = options.cluster;
  const { settings } = loadSettings({
    file: join(keysDir, "Config.toml"),
    fileMustExist: false,
    environment: {
      SUSTENET_ALL_PORT: "free",
      SUSTENET_CLUSTER_MASTER_URL: masterUrl,
      SUSTENET_CLUSTER_KEYS_DIR: keysDir,
      SUSTENET_CLUSTER_KEY_NAME: keyName,
      SUSTENET_CLUSTER_HOST: "127.0.0.1",
      SUSTENET_CLUSTER_TICK_HZ: String(options.tickHz),
      SUSTENET_CLUSTER_MAX_UNAUTHENTICATED: "10000",
      SUSTENET_CLUSTER_MAX_UNAUTHENTICATED_PER_IP: "10000",
      SUSTENET_CLUSTER_TLS12: "false",
    },
  });
  const side = sideOf(options.players ?? 0);
  const { layout, problems } = parseLayout({
    world: {
      tier: [{ within: 1, every: 1 }],
      grid: {
        name: "part",
        origin: [0, 0],
        size: [side / 2, side / 2],
        columns: 2,
        rows: 2,
        update_hz: options.tickHz,
        view_range: viewRange,
        max_visible: visible,
        ...(isCrowd && { threshold: crowdLevels.slice(1) }),
      },
    },
  });
  if (layout === undefined) throw new Error(problems.map(({ message }) => message).join("\n"));
  const spread = isCrowd ? spot : side;
  let cluster: Cluster | undefined;
  const plugin: ServerPlugin = {
    name: "bench",
    onStart: (started) => void (cluster = started),
    onJoin: (player) =>
      void player.teleport({ x: Math.random() * spread, y: 0, z: Math.random() * spread, heading: 0 }),
  };
  const server = createCluster({ settings: { ...settings, world: layout }, plugin, logger: silent });
  await server.start();
  await server.registered;
  if (server.address === undefined) throw new Error("the cluster has no port");
  return {
    port: server.address.port,
    players: () => cluster?.playerCount ?? 0,
    setWork: () => undefined,
    world: () => {
      const { frames = 0, bytes = 0, updates = 0, enters = 0, crossings = 0, held = 0 } = server.worldCounts ?? {};
      const ticks = server.metrics.tickSeconds.within;
      return { frames, bytes, updates: updates + enters, crossings, held, ticks };
    },
  };
}
