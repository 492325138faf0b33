import { parseShardMap, type ShardMap } from "./domain/clusters/sharding.ts";
import { isLoopbackHost, limits } from "../protocol/index.ts";

/** A setting of the Worker that is missing or not valid. Says which and what is expected, never its value. */
export class SettingError extends Error {
  override readonly name = "SettingError";
  readonly setting: string;
  readonly expected: string;

  constructor(setting: string, expected: string) {
    super(`the setting ${setting} has to be ${expected}`);
    this.setting = setting;
    this.expected = expected;
  }
}

/** Bindings, vars and secrets as the runtime hands them over. */
export type SettingSource = Readonly<Record<string, unknown>> | object;

/** What every part of the master needs to know. */
export interface MasterSettings {
  /** Public origin: `iss` of tickets, audience of assertions. */
  readonly masterUrl: string;
  readonly gameId: string;
  readonly ticketLifetimeSeconds: number;
  readonly shards: ShardMap;
  readonly leaseMs: number;
  readonly pingIntervalMs: number;
  readonly reportIntervalMs: number;
  /** Whether a cluster's address is tried before the cluster is offered. */
  readonly probeClusters: boolean;
}

const known = new WeakMap<object, MasterSettings>();

/** @throws SettingError */
export function readMasterSettings(source: SettingSource): MasterSettings {
  const cached = known.get(source);
  if (cached !== undefined) return cached;
  const leaseMs = readInteger(source, "LEASE_MS", 1_000, 600_000);
  const settings: MasterSettings = {
    masterUrl: new URL(readServiceUrl(source, "MASTER_URL", ["https:", "http:"])).origin,
    gameId: readText(source, "GAME_ID", /^[\w.-]{1,64}$/, "1 to 64 letters, digits, dots, dashes or underscores"),
    ticketLifetimeSeconds: readInteger(
      source,
      "TICKET_LIFETIME_SECONDS",
      limits.minTicketLifetimeSeconds,
      limits.maxTicketLifetimeSeconds,
    ),
    shards: readShards(source),
    leaseMs,
    pingIntervalMs: readInteger(source, "PING_INTERVAL_MS", 100, Math.floor(leaseMs / 3)),
    reportIntervalMs: readInteger(source, "REPORT_INTERVAL_MS", 50, 60_000),
    probeClusters: readText(source, "PROBE_CLUSTERS", /^(?:on|off)$/, "on or off") === "on",
  };
  known.set(source, settings);
  return settings;
}

/** Where the identity service is. @throws SettingError */
export function readIdentitySettings(source: SettingSource): {
  readonly url: string;
  readonly publishableKey: string;
  readonly secretKey: string | undefined;
  readonly reservedEmailDomain: string | undefined;
} {
  const domain = /^(?=.{3,200}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;
  return {
    url: readServiceUrl(source, "SUPABASE_URL", ["https:", "http:"]),
    publishableKey: readText(source, "SUPABASE_PUBLISHABLE_KEY", /^[\x21-\x7e]+$/, "the project's publishable key"),
    secretKey: readOptionalText(source, "SUPABASE_SECRET_KEY", /^[\x21-\x7e]+$/, "a secret key of the project"),
    reservedEmailDomain: readOptionalText(source, "RESERVED_EMAIL_DOMAIN", domain, "a domain in lower case"),
  };
}

/** Where the database of record is. @throws SettingError */
export function readStoreSettings(source: SettingSource): { readonly url: string; readonly authToken: string } {
  return {
    url: readServiceUrl(source, "TURSO_DATABASE_URL", ["libsql:", "https:", "http:"]),
    authToken: readText(source, "TURSO_AUTH_TOKEN", /^[\x21-\x7e]*$/, "the database's token, or empty"),
  };
}

/** Base64 of the key that encrypts signing keys at rest. Its form is checked where it is imported. @throws SettingError */
export function readKeyEncryptionKey(source: SettingSource): string {
  return readText(source, "KEY_ENCRYPTION_KEY", /./, "32 random bytes as base64");
}

/** Whether `url` may carry secrets: HTTPS anywhere, plain HTTP on loopback alone. */
export function isConfidential(url: URL): boolean {
  return url.protocol !== "http:" || isLoopbackHost(url.hostname);
}

function readShards(source: SettingSource): ShardMap {
  const map = parseShardMap(readText(source, "SHARDS", /./, "JSON"));
  if (map === undefined) throw new SettingError("SHARDS", 'JSON like {"version":1,"regions":{"default":1}}');
  return map;
}

/** Addresses that were valid when they were read last, as they are used: each request reads them. */
const knownUrls = new Map<string, string>();
const maxKnownUrls = 64;

/** A URL that may carry secrets. @throws SettingError */
export function readServiceUrl(source: SettingSource, name: string, protocols: readonly string[]): string {
  const key = `${protocols.join(" ")} ${String(Reflect.get(source, name))}`;
  const known = knownUrls.get(key);
  if (known !== undefined) return known;
  const url = readUrl(source, name);
  if (!protocols.includes(url.protocol)) throw new SettingError(name, `a URL with ${protocols.join(" or ")}`);
  const address = url.href.replace(/\/$/, "");
  if (knownUrls.size >= maxKnownUrls) knownUrls.clear();
  knownUrls.set(key, address);
  return address;
}

function readUrl(source: SettingSource, name: string): URL {
  const text = readText(source, name, /./, "a URL");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new SettingError(name, "a URL");
  if (!isConfidential(url)) throw new SettingError(name, "HTTPS, unless it is on this machine");
  return url;
}

function readInteger(source: SettingSource, name: string, min: number, max: number): number {
  const expected = `a whole number from ${min} to ${max}`;
  const value = Number(readText(source, name, /^\d{1,9}$/, expected));
  if (value < min || value > max) throw new SettingError(name, expected);
  return value;
}

/** A setting that may be missing; an empty one is. @throws SettingError */
export function readOptionalText(
  source: SettingSource,
  name: string,
  pattern: RegExp,
  expected: string,
): string | undefined {
  const value: unknown = Reflect.get(source, name);
  return value === undefined || value === "" ? undefined : readText(source, name, pattern, expected);
}

/** @throws SettingError */
export function readText(source: SettingSource, name: string, pattern: RegExp, expected: string): string {
  const value: unknown = Reflect.get(source, name);
  if (typeof value !== "string" || !pattern.test(value)) throw new SettingError(name, expected);
  return value;
}
