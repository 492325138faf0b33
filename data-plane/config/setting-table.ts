import { limits } from "../../protocol/index.ts";
import { logLevels } from "../log.ts";
import {
  choice,
  decimal,
  flag,
  instanceCount,
  integer,
  labels,
  networks,
  optionalPort,
  origins,
  port,
  type SettingKind,
  type Spot,
  spot,
  text,
  words,
} from "./setting-kinds.ts";

/** Port of a cluster when `port` is 0. */
export const defaultPort = 6257;

/** Port of the master when `master_port` is 0. */
export const defaultMasterPort = 6256;

export type Section = "all" | "cluster";

/** One key of Config.toml; `T` is what reading it gives. */
export interface SettingRow<T> {
  readonly section: Section;
  readonly key: string;
  readonly expected: string;
  readonly parse: (value: unknown) => T | undefined;
  readonly fromText: (text: string) => unknown;
  readonly fallback: T;
}

const host = text("an IP address or a host name", /^[\w.:%-]{1,253}$/);
const path = text("the path of a file", /^[^\0]{1,1024}$/);
const origin: Spot = { x: 0, y: 0, z: 0 };

/** Every key of Config.toml. The README of examples/minimal explains them. */
export const settingTable = {
  serverName: row("all", "server_name", text("a name of 1 to 64 printable characters", /^[^\p{C}]{1,64}$/u), "Cluster"),
  maxConnections: row("all", "max_connections", integer(0, 1_000_000), 0),
  port: row("all", "port", port, 0),
  keyName: row(
    "cluster",
    "key_name",
    text('a file name of letters, digits, "_", "." and "-", without its ending', /^\w[\w.-]{0,63}$/),
    "cluster_key",
  ),
  keysDir: row("cluster", "keys_dir", text("the path of a folder", /^[^\0]{1,1024}$/), "keys"),
  masterUrl: row("cluster", "master_url", text("an address like https://master.example.com", /./), undefined),
  masterIp: row("cluster", "master_ip", host, undefined),
  masterPort: row("cluster", "master_port", integer(0, 65_535), undefined),
  domainPubKey: row("cluster", "domain_pub_key", text("an address", /^/), undefined),
  instance: row("cluster", "instance", text('1 to 64 letters, digits, "_", "." and "-"', /^[\w.-]{1,64}$/), "main"),
  region: row(
    "cluster",
    "region",
    text('1 to 32 of a-z, 0-9 and inner "-"', /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/),
    "default",
  ),
  host: row("cluster", "host", host, undefined),
  advertisedHost: row("cluster", "advertised_host", host, undefined),
  advertisedPort: row("cluster", "advertised_port", integer(0, 65_535), 0),
  tags: row("cluster", "tags", words(16), []),
  joinRatePerSecond: row("cluster", "join_rate_per_second", decimal(0, 10_000), 0),
  ticketLifetimeSeconds: row(
    "cluster",
    "ticket_lifetime_seconds",
    integer(limits.minTicketLifetimeSeconds, limits.maxTicketLifetimeSeconds),
    undefined,
  ),
  labels: row("cluster", "labels", labels(16), []),
  gameBuild: row(
    "cluster",
    "game_build",
    text("1 to 64 printable ASCII characters without spaces", /^[\x21-\x7e]{1,64}$/),
    undefined,
  ),
  tickHz: row("cluster", "tick_hz", integer(1, 128), 30),
  maxFrameBytes: row(
    "cluster",
    "max_frame_bytes",
    integer(64, limits.maxFrameBytes),
    limits.defaultMaxClientFrameBytes,
  ),
  pingIntervalMs: row("cluster", "ping_interval_ms", integer(100, 60_000), 5_000),
  idleTimeoutMs: row("cluster", "idle_timeout_ms", integer(200, 65_535), 15_000),
  resumeGraceMs: row("cluster", "resume_grace_ms", integer(0, 600_000), 15_000),
  loadTimeoutMs: row("cluster", "load_timeout_ms", integer(0, 4_000), 1_500),
  stateDir: row("cluster", "state_dir", text("the path of a folder", /^[^\0]{1,1024}$/), "state"),
  maxBytesPerSecond: row("cluster", "max_bytes_per_second", integer(0, 1_000_000_000), 262_144),
  maxMessagesPerSecond: row("cluster", "max_messages_per_second", integer(0, 1_000_000), 1_000),
  maxSpeed: row("cluster", "max_speed", decimal(0, 1e9), 0),
  maxUnauthenticated: row("cluster", "max_unauthenticated", integer(1, 100_000), 1_024),
  maxUnauthenticatedPerIp: row("cluster", "max_unauthenticated_per_ip", integer(1, 100_000), 64),
  tls12: row("cluster", "tls12", flag, true),
  tlsCert: row("cluster", "tls_cert", path, undefined),
  tlsKey: row("cluster", "tls_key", path, undefined),
  wsPort: row("cluster", "ws_port", optionalPort, 0),
  wsUrl: row(
    "cluster",
    "ws_url",
    text("an address like wss://play.example.com:6258", /^wss:\/\/[^\s#@]{1,500}$/),
    undefined,
  ),
  wsOrigins: row("cluster", "ws_origins", origins(64), []),
  proxyProtocolFrom: row("cluster", "proxy_protocol_from", networks(64), []),
  spawn: row("cluster", "spawn", spot, origin),
  worldName: row("cluster", "world", text('1 to 64 letters, digits, "_", "." and "-"', /^[\w.-]{1,64}$/), undefined),
  peerPort: row("cluster", "peer_port", integer(0, 65_535), 0),
  peerHost: row("cluster", "peer_host", host, undefined),
  peerAdvertisedHost: row("cluster", "peer_advertised_host", host, undefined),
  peerAdvertisedPort: row("cluster", "peer_advertised_port", integer(0, 65_535), 0),
  instances: row("cluster", "instances", instanceCount, 0),
  drainSeconds: row("cluster", "drain_seconds", integer(0, 86_400), 10),
  watchdogSeconds: row("cluster", "watchdog_seconds", integer(0, 3_600), 10),
  opsPort: row("cluster", "ops_port", port, undefined),
  opsHost: row("cluster", "ops_host", host, "127.0.0.1"),
  logLevel: row("cluster", "log_level", choice(...logLevels), "info"),
} as const;

/** All rows, for what treats them alike. */
export const settingRows: readonly SettingRow<unknown>[] = Object.values(settingTable);

function row<T, const F>(section: Section, key: string, kind: SettingKind<T>, fallback: F): SettingRow<T | F> {
  return { section, key, ...kind, fallback };
}
