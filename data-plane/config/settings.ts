import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { isLoopbackHost, maxFragmentsPerCluster } from "../../protocol/index.ts";
import type { Layout } from "../fragments/layout.ts";
import type { LogLevel } from "../log.ts";
import { ConfigError } from "./config-error.ts";
import {
  type GivenValue,
  type GivenValues,
  readConfigText,
  readEnvironment,
  strangeVariables,
} from "./given-values.ts";
import { masterOrigin, parseMasterUrl } from "./master-address.ts";
import type { Spot } from "./setting-kinds.ts";
import { defaultPort, type SettingRow, settingTable } from "./setting-table.ts";
import { readWorldSettings, type WorldSettings, type WorldTables } from "./world-settings.ts";

/** How a cluster runs: what Config.toml, the environment and the flags come to. */
export interface ClusterSettings {
  /** Display name. */
  readonly serverName: string;
  /** Most players at a time; 0 means no limit. */
  readonly maxConnections: number;
  /** TCP port to listen at; 0 means whichever is free. */
  readonly port: number;
  /** Address to listen at; `undefined` means every address of this machine, IPv4 and IPv6. */
  readonly host: string | undefined;
  /** Where players reach it. */
  readonly advertisedHost: string;
  /** 0 means the port it listens at. */
  readonly advertisedPort: number;
  /** Name of the key files, without their endings. */
  readonly keyName: string;
  readonly keysDir: string;
  /** The master's origin. */
  readonly masterUrl: string;
  /** Tells apart the processes that share one key. */
  readonly instance: string;
  readonly region: string;
  readonly tags: readonly string[];
  /** How many players may join in a second, on average; those who come faster wait at the master. 0 means any number. */
  readonly joinRatePerSecond: number;
  /** How long tickets for this cluster can be used, 5 to 300; as long as the master says unless given. */
  readonly ticketLifetimeSeconds: number | undefined;
  /** What clients may select this cluster by, each as `name=value`. */
  readonly labels: readonly string[];
  /** Build of the game, so that builds meet only their own clusters. */
  readonly gameBuild: string | undefined;
  /** Simulation ticks a second. */
  readonly tickHz: number;
  /** Longest frame that a joined client may send. */
  readonly maxFrameBytes: number;
  readonly pingIntervalMs: number;
  readonly idleTimeoutMs: number;
  /** How long a player whose connection has dropped is kept for its return; 0 means not at all. [RESUME-7] */
  readonly resumeGraceMs: number;
  /** How long a join waits for what was saved of its player; 0 means not at all. */
  readonly loadTimeoutMs: number;
  /** Folder of what plugins keep on this cluster's disk. */
  readonly stateDir: string;
  /** What one player may send, bytes and messages a second; 0 means no limit. [BUDGET-1] */
  readonly maxBytesPerSecond: number;
  readonly maxMessagesPerSecond: number;
  /** World units a second; 0 means unchecked. */
  readonly maxSpeed: number;
  /** Most connections that have not joined yet. */
  readonly maxUnauthenticated: number;
  /** The same from one IPv4 address or IPv6 /64. */
  readonly maxUnauthenticatedPerIp: number;
  /** Whether TLS 1.2 is accepted beside 1.3. */
  readonly tls12: boolean;
  /** PEM files of the operator's certificate and its private key: both, or `undefined` to make them. */
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  /** TCP port for WebSocket; `undefined` for none, 0 for whichever is free. */
  readonly wsPort: number | undefined;
  /** Where browsers reach it; `undefined` means the advertised host and the port for WebSocket. */
  readonly wsUrl: string | undefined;
  /** Origins of the pages that may connect; empty for all. */
  readonly wsOrigins: readonly string[];
  /** Proxies, by address or network, that say whom they speak for (PROXY protocol, version 2); empty for none. */
  readonly proxyProtocolFrom: readonly string[];
  /** Where players start. */
  readonly spawn: Spot;
  /** The world that this cluster shares with others; `undefined` for a world of its own. */
  readonly worldName: string | undefined;
  /** TCP port for the other clusters of the world; 0 means whichever is free. */
  readonly peerPort: number;
  /** Address to listen at for them; `undefined` means every address of this machine. */
  readonly peerHost: string | undefined;
  /** Where they reach this cluster. */
  readonly peerAdvertisedHost: string;
  /** 0 means the port it listens at. */
  readonly peerAdvertisedPort: number;
  /** Processes under a supervisor, each a cluster of its own; 0 means this process, without a supervisor. */
  readonly instances: number;
  /** How long plugins may take to bring the game to an end before players are told to go. */
  readonly drainSeconds: number;
  /** After how long without a turn of the event loop the process is killed; 0 means never. */
  readonly watchdogSeconds: number;
  /** Port of health and metrics; 0 means whichever is free, `undefined` none. */
  readonly opsPort: number | undefined;
  readonly opsHost: string;
  readonly logLevel: LogLevel;
  /** The world's fragments; `undefined` where none are laid out: then there is one, and nothing is shown of it. */
  readonly world: Layout | undefined;
}

const noWorld: WorldSettings = { layout: undefined, problems: [] };

/** By file and line. */
const byPlace = new Intl.Collator("en", { numeric: true });

/** Settings, and remarks about them for the log. */
export interface LoadedSettings {
  readonly settings: ClusterSettings;
  readonly remarks: readonly string[];
  /** The path of the Config.toml. */
  readonly file: string;
  /** What was given, and where, by `section.key`. */
  readonly given: ReadonlyMap<string, GivenValue>;
  /** What the file says of the world. */
  readonly world?: WorldTables;
  /** The same with this text in the file. @throws ConfigError */
  readonly reread: (text: string) => LoadedSettings;
}

/** Where settings come from. */
export interface SettingSources {
  /** Path of the file; a default path may be absent, a named one may not. */
  readonly file: string;
  readonly fileMustExist: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What the command line says. */
  readonly flags?: GivenValues;
}

/**
 * Reads Config.toml, lets `SUSTENET_*` variables override it and flags override both, and checks everything.
 *
 * @param text what the file says, by default what is in it now; `undefined` where there is none
 * @throws ConfigError with every problem found
 */
export function loadSettings(sources: SettingSources, text = readText(sources)): LoadedSettings {
  const { file, environment, flags } = sources;
  const read = readConfigText(file, text ?? "");
  // What is not there has no lines.
  const fromFile = text === undefined ? { ...read, sectionPlaces: new Map<string, string>() } : read;
  const overridden = overlay(fromFile, readEnvironment(environment));
  const given = flags === undefined ? overridden : overlay(overridden, flags);
  const reader = new SettingReader(given, text === undefined ? `${file} (there is none in ${process.cwd()})` : file);
  const world = given.world === undefined ? noWorld : readWorldSettings(given.world);
  const settings = { ...readSettings(reader, dirname(resolve(file))), world: world.layout };
  if (world.problems.length === 0) assertSharedWorld(reader, settings);
  reader.problems.push(...world.problems);
  if (reader.problems.length > 0) throw new ConfigError(reader.problems.toSorted(byPlace.compare), world.problems);
  const remarks = [...strangeVariables(environment)];
  if (reader.read(settingTable.domainPubKey) !== undefined) {
    remarks.push("[cluster] domain_pub_key is not used: the master publishes keys and pins certificates by itself");
  }
  const { worldName, peerPort, peerHost, peerAdvertisedHost, peerAdvertisedPort } = settingTable;
  for (const row of [peerPort, peerHost, peerAdvertisedHost, peerAdvertisedPort]) {
    if (settings.worldName !== undefined || reader.find(row)?.fromFile !== true) continue;
    remarks.push(`[cluster] ${row.key} is not used: without [cluster] ${worldName.key} this cluster has no peers`);
  }
  const tables = given.world === undefined ? {} : { world: given.world };
  const reread = (changed: string): LoadedSettings => loadSettings(sources, changed);
  return { settings, remarks, file, given: given.values, ...tables, reread };
}

function readText({ file, fileMustExist }: SettingSources): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    if (code === "ENOENT" && !fileMustExist) return undefined;
    throw new ConfigError([`${file}: cannot be read (${code}): expected a Config.toml there`]);
  }
}

/** The later source wins; one way to name the master there puts aside the other way in the earlier. */
function overlay(earlier: GivenValues, later: GivenValues): GivenValues {
  const values = new Map(earlier.values);
  if (later.values.has("cluster.master_url")) {
    values.delete("cluster.master_ip");
    values.delete("cluster.master_port");
  }
  if (later.values.has("cluster.master_ip")) values.delete("cluster.master_url");
  for (const [name, value] of later.values) values.set(name, value);
  return { ...earlier, values, problems: [...earlier.problems, ...later.problems] };
}

/** Takes values out of what was given, and collects what is wrong with them. */
class SettingReader {
  readonly problems: string[];
  readonly #given: GivenValues;
  readonly #file: string;

  constructor(given: GivenValues, file: string) {
    this.#given = given;
    this.#file = file;
    this.problems = [...given.problems];
  }

  read<T>(row: SettingRow<T>): T {
    const given = this.find(row);
    if (given === undefined) return row.fallback;
    const value = row.parse(given.value);
    if (value !== undefined) return value;
    // Flags and variables are all text: there it says nothing.
    const isPlain = !given.fromFile && typeof given.value === "string";
    this.complain(row, `expected ${row.expected}${isPlain ? "" : `, got ${describe(given.value)}`}`);
    return row.fallback;
  }

  find(row: SettingRow<unknown>): GivenValue | undefined {
    return this.#given.values.get(`${row.section}.${row.key}`);
  }

  /** A key that a problem of another one speaks of, and where it was given. */
  mention(row: SettingRow<unknown>): string {
    return `${row.key} (${this.placeOf(row)})`;
  }

  placeOf(row: SettingRow<unknown>): string {
    return this.find(row)?.place ?? "the default";
  }

  complain(row: SettingRow<unknown>, what: string): void {
    const place = this.find(row)?.place ?? this.#given.sectionPlaces.get(row.section) ?? this.#file;
    const problem = `${place}: [${row.section}] ${row.key}: ${what}`;
    if (!this.problems.includes(problem)) this.problems.push(problem);
  }
}

function readSettings(reader: SettingReader, folder: string): Omit<ClusterSettings, "world"> {
  const port = reader.read(settingTable.port);
  const masterUrl = readMaster(reader);
  const host = reader.read(settingTable.host);
  const pingIntervalMs = reader.read(settingTable.pingIntervalMs);
  const idleTimeoutMs = reader.read(settingTable.idleTimeoutMs);
  if (idleTimeoutMs <= pingIntervalMs) {
    reader.complain(
      settingTable.idleTimeoutMs,
      `expected more than ${pingIntervalMs} of ${reader.mention(settingTable.pingIntervalMs)}, got ${idleTimeoutMs}`,
    );
  }
  const wsPort = reader.read(settingTable.wsPort);
  const advertisedHost = readAdvertisedHost(reader, host, masterUrl);
  return {
    serverName: reader.read(settingTable.serverName),
    maxConnections: reader.read(settingTable.maxConnections),
    port: port === "free" ? 0 : port === 0 ? defaultPort : port,
    host,
    advertisedHost,
    advertisedPort: reader.read(settingTable.advertisedPort),
    keyName: reader.read(settingTable.keyName),
    keysDir: readPath(reader, settingTable.keysDir, folder) ?? "",
    masterUrl,
    region: reader.read(settingTable.region),
    tags: reader.read(settingTable.tags),
    joinRatePerSecond: reader.read(settingTable.joinRatePerSecond),
    ticketLifetimeSeconds: reader.read(settingTable.ticketLifetimeSeconds),
    labels: reader.read(settingTable.labels),
    gameBuild: reader.read(settingTable.gameBuild),
    tickHz: reader.read(settingTable.tickHz),
    maxFrameBytes: reader.read(settingTable.maxFrameBytes),
    pingIntervalMs,
    idleTimeoutMs,
    resumeGraceMs: reader.read(settingTable.resumeGraceMs),
    loadTimeoutMs: reader.read(settingTable.loadTimeoutMs),
    stateDir: readPath(reader, settingTable.stateDir, folder) ?? "",
    maxBytesPerSecond: reader.read(settingTable.maxBytesPerSecond),
    maxMessagesPerSecond: reader.read(settingTable.maxMessagesPerSecond),
    maxSpeed: reader.read(settingTable.maxSpeed),
    maxUnauthenticated: reader.read(settingTable.maxUnauthenticated),
    maxUnauthenticatedPerIp: reader.read(settingTable.maxUnauthenticatedPerIp),
    tls12: reader.read(settingTable.tls12),
    ...readTlsFiles(reader, folder),
    wsPort: wsPort === "free" ? 0 : wsPort === 0 ? undefined : wsPort,
    wsUrl: reader.read(settingTable.wsUrl),
    wsOrigins: reader.read(settingTable.wsOrigins),
    proxyProtocolFrom: reader.read(settingTable.proxyProtocolFrom),
    spawn: reader.read(settingTable.spawn),
    ...readPeers(reader, host, advertisedHost),
    drainSeconds: reader.read(settingTable.drainSeconds),
    watchdogSeconds: reader.read(settingTable.watchdogSeconds),
    opsHost: reader.read(settingTable.opsHost),
    logLevel: reader.read(settingTable.logLevel),
    ...readInstances(reader, port === 0 ? defaultPort : port),
  };
}

/** Instances take ports in a row from the first, for players and for operators: no row may meet another, or the last port. */
function readInstances(
  reader: SettingReader,
  port: number | "free",
): Pick<ClusterSettings, "instances" | "instance" | "opsPort"> {
  const { instances: row, opsPort: opsRow, instance: nameRow } = settingTable;
  const given = reader.read(row);
  const instances = given === "cores" ? availableParallelism() : given;
  const opsPort = reader.read(opsRow);
  const count = Math.max(1, instances);
  if (opsPort === 0) reader.complain(opsRow, 'expected a port from 1 to 65535 or "free", got 0');
  const ws = reader.read(settingTable.wsPort);
  const peer = reader.read(settingTable.peerPort);
  const rows = [
    [port, settingTable.port],
    [ws === 0 ? undefined : ws, settingTable.wsPort],
    [opsPort, opsRow],
    [peer === 0 ? undefined : peer, settingTable.peerPort],
  ] as const;
  for (const [index, [first, portRow]] of rows.entries()) {
    if (typeof first !== "number") continue;
    if (first + count - 1 > 65_535) {
      reader.complain(portRow, `expected room for ${count} instances below 65536, got ${first}`);
    }
    for (const [other, otherRow] of rows.slice(0, index)) {
      if (typeof other !== "number" || Math.abs(first - other) >= count) continue;
      const ofOther = reader.mention(otherRow);
      const all = `those of the ${count} instances (${reader.placeOf(row)}) from ${other} of ${ofOther} on`;
      const others = count === 1 ? ofOther : all;
      reader.complain(portRow, `expected another port than ${others}, got ${first}`);
    }
  }
  const instance = reader.read(nameRow);
  const longest = 64 - `-${instances}`.length;
  if (instances > 0 && instance.length > longest) {
    reader.complain(nameRow, `expected at most ${longest} characters, as each of the instances gets a number`);
  }
  if (instances > 1 && reader.find(settingTable.wsUrl) !== undefined) {
    reader.complain(
      settingTable.wsUrl,
      `expected none with ${instances} instances (${reader.placeOf(row)}): each has an address of its own`,
    );
  }
  return { instances, instance, opsPort: opsPort === "free" ? 0 : opsPort };
}

function readPeers(
  reader: SettingReader,
  host: string | undefined,
  advertisedHost: string,
): Pick<ClusterSettings, "worldName" | "peerPort" | "peerHost" | "peerAdvertisedHost" | "peerAdvertisedPort"> {
  const ownHost = reader.read(settingTable.peerHost);
  // Who listens for peers at an address of its own is reached there.
  const reached = ownHost === undefined || isWildcard(ownHost) ? advertisedHost : ownHost;
  return {
    worldName: reader.read(settingTable.worldName),
    peerPort: reader.read(settingTable.peerPort),
    peerHost: ownHost ?? host,
    peerAdvertisedHost: reader.read(settingTable.peerAdvertisedHost) ?? reached,
    peerAdvertisedPort: reader.read(settingTable.peerAdvertisedPort),
  };
}

/**
 * A world that is shared has fragments, as many as the master takes of a cluster; one process carries each; and players go from one to the
 * other, which takes the resuming of sessions. [ARRIVE-2]
 */
function assertSharedWorld(reader: SettingReader, settings: ClusterSettings): void {
  const { worldName, world, instances, resumeGraceMs } = settings;
  const { worldName: row } = settingTable;
  if (worldName === undefined) return;
  if (resumeGraceMs === 0) {
    const reason = "without resuming no player can go from cluster to cluster";
    reader.complain(settingTable.resumeGraceMs, `expected at least 1 with ${reader.mention(row)}, got 0: ${reason}`);
  }
  if (world === undefined) {
    reader.complain(row, "expected fragments to share: [[fragment]] or [world.grid], the same at all clusters");
    return;
  }
  const carried = world.fragments.filter((fragment) => fragment.carried).length;
  if (carried > maxFragmentsPerCluster) {
    const advice = "say in [world] carries which are this cluster's";
    reader.complain(
      row,
      `expected at most ${maxFragmentsPerCluster} fragments on one cluster, got ${carried}: ${advice}`,
    );
  }
  if (instances > 1) {
    const advice = "they would share this file, and with it what they carry";
    reader.complain(
      settingTable.instances,
      `expected at most 1 with ${reader.mention(row)}, got ${instances}: ${advice}`,
    );
  }
}

/** What the file says is meant from where the file is; a variable or a flag, from where the process is. */
function readPath(reader: SettingReader, row: SettingRow<string | undefined>, folder: string): string | undefined {
  const path = reader.read(row);
  if (path === undefined) return undefined;
  return reader.find(row)?.fromFile === false ? resolve(path) : resolve(folder, path);
}

function readTlsFiles(reader: SettingReader, folder: string): Pick<ClusterSettings, "tlsCert" | "tlsKey"> {
  const tlsCert = readPath(reader, settingTable.tlsCert, folder);
  const tlsKey = readPath(reader, settingTable.tlsKey, folder);
  if (tlsCert !== undefined && tlsKey === undefined) {
    reader.complain(
      settingTable.tlsKey,
      `missing, expected the key that belongs to ${reader.mention(settingTable.tlsCert)}`,
    );
  }
  if (tlsKey !== undefined && tlsCert === undefined) {
    reader.complain(
      settingTable.tlsCert,
      `missing, expected the certificate that belongs to ${reader.mention(settingTable.tlsKey)}`,
    );
  }
  return { tlsCert, tlsKey };
}

function readMaster(reader: SettingReader): string {
  const { masterUrl: urlRow, masterIp: ipRow, masterPort: portRow } = settingTable;
  const url = reader.read(urlRow);
  const ip = reader.read(ipRow);
  const port = reader.read(portRow);
  if (reader.find(urlRow) !== undefined && reader.find(ipRow) !== undefined) {
    reader.complain(ipRow, `expected only one of master_ip and ${reader.mention(urlRow)}`);
  }
  if (url !== undefined) {
    const parsed = parseMasterUrl(url);
    if ("origin" in parsed) return parsed.origin;
    reader.complain(urlRow, `expected ${parsed.expected}`);
  } else if (ip !== undefined) {
    const origin = masterOrigin(ip, port ?? 0);
    if (origin !== undefined) return origin;
    reader.complain(ipRow, `expected ${ipRow.expected}`);
  } else if (reader.find(urlRow) === undefined && reader.find(ipRow) === undefined) {
    reader.complain(urlRow, "missing, expected the master's address, as https://master.example.com");
  }
  return "";
}

function readAdvertisedHost(reader: SettingReader, host: string | undefined, masterUrl: string): string {
  const { advertisedHost: row } = settingTable;
  const advertised = reader.read(row);
  if (advertised !== undefined) return advertised;
  if (host !== undefined && !isWildcard(host)) return host;
  if (masterUrl !== "" && !isLoopbackHost(new URL(masterUrl).hostname) && reader.find(row) === undefined) {
    reader.complain(row, "missing, expected the address at which players reach this cluster");
  }
  return "127.0.0.1";
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function describeText(value: string): string {
  if (value === "") return "empty text";
  if (/\s/.test(value)) return "text with a space in it";
  return value.length > 64 ? `text of ${value.length} characters` : "text";
}

/** Says what kind of value it is; text is not quoted, as it may be a secret in the wrong place. */
function describe(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return describeText(value);
  if (Array.isArray(value)) return "a list";
  return value instanceof Date ? "a date" : "a table";
}
