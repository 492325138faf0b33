import { join } from "node:path";
import { type Cluster, createCluster, type Logger, loadSettings, type ServerPlugin } from "../../data-plane/index.ts";
import { keyName } from "../setup.ts";
import { type Contender, type ServerOptions, stamp, type TickWork } from "./contender.ts";

/** Command of the game's messages. */
const command = 1;

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * The cluster of this repository with the echo plugin. Its settings are the defaults, save for how many may come at once
 * from one address: here all players share one.
 *
 * @param asState whether what it sends by itself is latest-only state, a key for each message of a tick
 */
export async function startSustenet(options: ServerOptions, asState: boolean): Promise<Contender> {
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
  let cluster: Cluster | undefined;
  let work: TickWork | undefined;
  const plugin: ServerPlugin = {
    name: "bench",
    onStart: (started) => {
      cluster = started;
    },
    onMessage: (player, sent, reader) => {
      player.send(sent, reader.rest());
    },
    onTick: (tick) => {
      if (work !== undefined && cluster !== undefined) send(cluster, work, tick, asState);
    },
  };
  const server = createCluster({ settings, plugin, logger: silent });
  await server.start();
  await server.registered;
  if (server.address === undefined) throw new Error("the cluster has no port");
  return {
    port: server.address.port,
    players: () => cluster?.playerCount ?? 0,
    setWork: (next) => (work = next),
  };
}

function send(cluster: Cluster, { messages, payloadBytes }: TickWork, tick: number, asState: boolean): void {
  // The cluster copies the payload: one buffer serves all.
  const payload = new Uint8Array(payloadBytes);
  for (const player of cluster.players) {
    for (let message = 0; message < messages; message++) {
      stamp(payload, 0, tick, player.number, message);
      if (asState) player.sendState(message, command, payload);
      else player.send(command, payload);
    }
  }
}
