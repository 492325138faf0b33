import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server } from "../cluster.ts";
import type { ClusterOptions, ClusterServer } from "../cluster-server.ts";
import type { ClusterSettings } from "../config/settings.ts";
import { createClusterKey } from "../keys/cluster-key.ts";
import type { Logger } from "../log.ts";
import type { ServerPlugin } from "../plugin/server-plugin.ts";
import type { Arrivals } from "../session/arrivals.ts";
import { FakeMaster } from "./fake-master.ts";
import { TestClient, type TestTarget } from "./test-client.ts";

/** What was logged, for a test to look at. */
export class LogBook implements Logger {
  readonly lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];

  debug(fields: object, message: string): void {
    this.#add("debug", fields, message);
  }

  info(fields: object, message: string): void {
    this.#add("info", fields, message);
  }

  warn(fields: object, message: string): void {
    this.#add("warn", fields, message);
  }

  error(fields: object, message: string): void {
    this.#add("error", fields, message);
  }

  /** Every line as text, to search it for what must not be there. */
  text(): string {
    return this.lines.map(({ fields, message }) => `${message} ${JSON.stringify(fields)}`).join("\n");
  }

  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields: { ...fields }, message });
  }
}

/** A cluster and its master under test. */
export interface TestCluster {
  readonly master: FakeMaster;
  readonly server: ClusterServer;
  readonly log: LogBook;
  readonly target: TestTarget;
  readonly keysDir: string;
  /** A client that has joined. */
  joined(claims?: Parameters<FakeMaster["ticket"]>[0]): Promise<TestClient>;
  /** A client that is connected. */
  connected(): Promise<TestClient>;
  stop(): Promise<void>;
}

export interface TestClusterOptions extends Partial<Pick<ClusterOptions, "limits" | "pace" | "clock">> {
  readonly plugin?: ServerPlugin | readonly ServerPlugin[];
  readonly settings?: Partial<ClusterSettings>;
  readonly master?: FakeMaster;
  /** False to leave its key unknown to the master. */
  readonly enrolled?: boolean;
  /** Who knows of players that other clusters hand over, in place of a neighbourhood. */
  readonly arrivals?: () => Arrivals | undefined;
}

/** Settings that suit a test: any free port, every limit as by default. */
export function testSettings(overrides: Partial<ClusterSettings> = {}): ClusterSettings {
  return {
    serverName: "Test",
    maxConnections: 0,
    joinRatePerSecond: 0,
    ticketLifetimeSeconds: undefined,
    port: 0,
    host: "127.0.0.1",
    advertisedHost: "127.0.0.1",
    advertisedPort: 0,
    labels: [],
    gameBuild: undefined,
    keyName: "cluster_key",
    keysDir: "keys",
    masterUrl: "http://127.0.0.1:1",
    instance: "main",
    region: "default",
    tags: [],
    tickHz: 30,
    maxFrameBytes: 16_384,
    pingIntervalMs: 5_000,
    idleTimeoutMs: 15_000,
    resumeGraceMs: 15_000,
    loadTimeoutMs: 1_500,
    stateDir: "state",
    maxBytesPerSecond: 0,
    maxMessagesPerSecond: 0,
    maxSpeed: 0,
    maxUnauthenticated: 1_024,
    maxUnauthenticatedPerIp: 64,
    tls12: true,
    tlsCert: undefined,
    tlsKey: undefined,
    wsPort: undefined,
    wsUrl: undefined,
    wsOrigins: [],
    proxyProtocolFrom: [],
    spawn: { x: 0, y: 0, z: 0 },
    worldName: undefined,
    peerPort: 0,
    peerHost: "127.0.0.1",
    peerAdvertisedHost: "127.0.0.1",
    peerAdvertisedPort: 0,
    instances: 0,
    drainSeconds: 10,
    watchdogSeconds: 0,
    opsPort: undefined,
    opsHost: "127.0.0.1",
    logLevel: "debug",
    world: undefined,
    ...overrides,
  };
}

/** Starts a cluster with a key of its own at a fake master, and waits until it is registered and linked. */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const keysDir = await mkdtemp(join(tmpdir(), "sustenet-"));
  const master = options.master ?? (await new FakeMaster().start());
  const { keyId, publicKey } = await createClusterKey(keysDir, "cluster_key");
  if (options.enrolled !== false) master.enrolled.set(keyId, publicKey);
  const log = new LogBook();
  const server: ClusterServer = new Server(
    {
      settings: testSettings({ keysDir, masterUrl: master.url, ...options.settings }),
      plugin: options.plugin ?? {},
      logger: log,
      limits: { ...options.limits },
      pace: { retryMs: [20, 100], refusedRetryMs: [20, 100], ...options.pace },
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    },
    options.arrivals,
  );
  await server.start();
  const clients: TestClient[] = [];
  let target: TestTarget = { port: server.address?.port ?? 0, serverName: "", caPem: "" };
  if (options.enrolled !== false) {
    await server.registered;
    await master.linked();
    const { tls } = master.registrations.at(-1) ?? { tls: target };
    target = { ...target, serverName: tls.serverName, caPem: tls.caPem };
  }
  const connected = async (): Promise<TestClient> => {
    const client = await TestClient.open(target);
    clients.push(client);
    return client;
  };
  return {
    master,
    server,
    log,
    target,
    keysDir,
    connected,
    joined: async (claims) => {
      const client = await connected();
      client.join(await master.ticket(claims));
      await client.next("welcome");
      return client;
    },
    stop: async () => {
      for (const client of clients) client.close();
      await server.stop();
      await master.stop();
      await rm(keysDir, { recursive: true, force: true });
    },
  };
}
