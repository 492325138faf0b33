import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "./config-error.ts";
import {
  type GivenValue,
  type GivenValues,
  readConfigText,
  readEnvironment,
  strangeVariables,
} from "./given-values.ts";
import { isLoopback, masterOrigin, parseMasterUrl } from "./master-address.ts";
import type { Spot } from "./setting-kinds.ts";
import { defaultPort, type SettingRow, settingTable } from "./setting-table.ts";

/** How a cluster runs: what Config.toml and the environment come to. */
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
  /** Simulation ticks a second. */
  readonly tickHz: number;
  /** Longest frame that a joined client may send. */
  readonly maxFrameBytes: number;
  readonly pingIntervalMs: number;
  readonly idleTimeoutMs: number;
  /** World units a second; 0 means unchecked. */
  readonly maxSpeed: number;
  /** Most connections that have not joined yet. */
  readonly maxUnauthenticated: number;
  /** The same from one IPv4 address or IPv6 /64. */
  readonly maxUnauthenticatedPerIp: number;
  /** Whether TLS 1.2 is accepted beside 1.3. */
  readonly tls12: boolean;
  /** Where players start. */
  readonly spawn: Spot;
}

/** By file and line. */
const byPlace = new Intl.Collator("en", { numeric: true });

/** Settings, and remarks about them for the log. */
export interface LoadedSettings {
  readonly settings: ClusterSettings;
  readonly remarks: readonly string[];
}

/** Where settings come from. */
export interface SettingSources {
  /** Path of the file; a default path may be absent, a named one may not. */
  readonly file: string;
  readonly fileMustExist: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads Config.toml, lets `SUSTENET_*` variables override it, and checks everything.
 *
 * @throws ConfigError with every problem found
 */
export function loadSettings(sources: SettingSources): LoadedSettings {
  const { file, environment } = sources;
  const text = readText(sources);
  const fromFile = readConfigText(file, text ?? "");
  const given = overlay(fromFile, readEnvironment(environment));
  const reader = new SettingReader(given, text === undefined ? "settings" : file);
  const settings = readSettings(reader, dirname(resolve(file)));
  if (reader.problems.length > 0) throw new ConfigError(reader.problems.toSorted(byPlace.compare));
  const remarks = [...strangeVariables(environment)];
  if (reader.read(settingTable.domainPubKey) !== undefined) {
    remarks.push("[cluster] domain_pub_key is not used: the master publishes keys and pins certificates by itself");
  }
  return { settings, remarks };
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

/** The environment wins; one way to name the master there puts aside the other way in the file. */
function overlay(file: GivenValues, environment: GivenValues): GivenValues {
  const values = new Map(file.values);
  if (environment.values.has("cluster.master_url")) {
    values.delete("cluster.master_ip");
    values.delete("cluster.master_port");
  }
  if (environment.values.has("cluster.master_ip")) values.delete("cluster.master_url");
  for (const [name, value] of environment.values) values.set(name, value);
  return { ...file, values };
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
    this.complain(row, `expected ${row.expected}, got ${describe(given.value)}`);
    return row.fallback;
  }

  find(row: SettingRow<unknown>): GivenValue | undefined {
    return this.#given.values.get(`${row.section}.${row.key}`);
  }

  complain(row: SettingRow<unknown>, what: string): void {
    const place = this.find(row)?.place ?? this.#given.sectionPlaces.get(row.section) ?? this.#file;
    const problem = `${place}: [${row.section}] ${row.key}: ${what}`;
    if (!this.problems.includes(problem)) this.problems.push(problem);
  }
}

function readSettings(reader: SettingReader, folder: string): ClusterSettings {
  const port = reader.read(settingTable.port);
  const masterUrl = readMaster(reader);
  const host = reader.read(settingTable.host);
  const pingIntervalMs = reader.read(settingTable.pingIntervalMs);
  const idleTimeoutMs = reader.read(settingTable.idleTimeoutMs);
  if (idleTimeoutMs <= pingIntervalMs) {
    reader.complain(
      settingTable.idleTimeoutMs,
      `expected more than ping_interval_ms (${pingIntervalMs}), got ${idleTimeoutMs}`,
    );
  }
  const keysDir = reader.read(settingTable.keysDir);
  return {
    serverName: reader.read(settingTable.serverName),
    maxConnections: reader.read(settingTable.maxConnections),
    port: port === "free" ? 0 : port === 0 ? defaultPort : port,
    host,
    advertisedHost: readAdvertisedHost(reader, host, masterUrl),
    advertisedPort: reader.read(settingTable.advertisedPort),
    keyName: reader.read(settingTable.keyName),
    // What the file says is meant from where the file is; a variable, from where the process is.
    keysDir: reader.find(settingTable.keysDir)?.fromEnvironment === true ? resolve(keysDir) : resolve(folder, keysDir),
    masterUrl,
    instance: reader.read(settingTable.instance),
    region: reader.read(settingTable.region),
    tags: reader.read(settingTable.tags),
    tickHz: reader.read(settingTable.tickHz),
    maxFrameBytes: reader.read(settingTable.maxFrameBytes),
    pingIntervalMs,
    idleTimeoutMs,
    maxSpeed: reader.read(settingTable.maxSpeed),
    maxUnauthenticated: reader.read(settingTable.maxUnauthenticated),
    maxUnauthenticatedPerIp: reader.read(settingTable.maxUnauthenticatedPerIp),
    tls12: reader.read(settingTable.tls12),
    spawn: reader.read(settingTable.spawn),
  };
}

function readMaster(reader: SettingReader): string {
  const { masterUrl: urlRow, masterIp: ipRow, masterPort: portRow } = settingTable;
  const url = reader.read(urlRow);
  const ip = reader.read(ipRow);
  const port = reader.read(portRow);
  if (reader.find(urlRow) !== undefined && reader.find(ipRow) !== undefined) {
    reader.complain(ipRow, "expected only one of master_url and master_ip");
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
  const wildcard = host === undefined || host === "0.0.0.0" || host === "::";
  if (!wildcard) return host;
  if (masterUrl !== "" && !isLoopback(new URL(masterUrl).hostname) && reader.find(row) === undefined) {
    reader.complain(row, "missing, expected the address at which players reach this cluster");
  }
  return "127.0.0.1";
}

/** Says what kind of value it is; text is not quoted, as it may be a secret in the wrong place. */
function describe(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return value === "" ? "empty text" : "text";
  if (Array.isArray(value)) return "a list";
  return value instanceof Date ? "a date" : "a table";
}
