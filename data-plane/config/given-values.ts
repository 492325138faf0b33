import { parse, TomlError } from "smol-toml";
import { ConfigError } from "./config-error.ts";
import { findRepeated, keyPath, locateKeys } from "./key-lines.ts";
import { nearest } from "./nearest.ts";
import type { WorldTables } from "./world-settings.ts";
import { type Section, settingRows, type SettingRow } from "./setting-table.ts";

/** A value somebody wrote, and where: `Config.toml:7`, or the name of an environment variable or a flag. */
export interface GivenValue {
  readonly value: unknown;
  readonly place: string;
  readonly fromFile: boolean;
}

/** What one source says, still unchecked, by `section.key`. */
export interface GivenValues {
  readonly values: ReadonlyMap<string, GivenValue>;
  readonly problems: readonly string[];
  /** Line of each section's header, for what is missing in it. */
  readonly sectionPlaces: ReadonlyMap<string, string>;
  /** What a file says of the world. */
  readonly world?: WorldTables;
}

const shortLevelName = "SUSTENET_LOG_LEVEL";
const sectionNames: readonly Section[] = ["all", "cluster"];
/** Tables that world-settings.ts reads. */
const worldTables: ReadonlySet<string> = new Set(["world", "fragment"]);

/**
 * Reads the text of a Config.toml.
 *
 * @param name what to call the file in problems
 * @throws ConfigError when it is not TOML
 */
export function readConfigText(name: string, toml: string): GivenValues {
  const document = parseToml(name, toml);
  const lines = locateKeys(toml);
  const placeOf = (...path: readonly string[]): string => `${name}:${lines.get(keyPath(...path)) ?? 1}`;
  const values = new Map<string, GivenValue>();
  const problems: string[] = [];
  for (const [section, table] of Object.entries(document)) {
    if (worldTables.has(section)) continue;
    if (!isSection(section)) {
      problems.push(`${placeOf(section)}: ${unknownTopLevel(section, isTable(table))}`);
    } else if (!isTable(table)) {
      problems.push(`${placeOf(section)}: ${section}: expected a section, [${section}]`);
    } else {
      for (const [key, value] of Object.entries(table)) {
        const place = placeOf(section, key);
        if (findRow(section, key) === undefined) problems.push(`${place}: ${unknownKey(section, key)}`);
        else values.set(`${section}.${key}`, { value, place, fromFile: true });
      }
    }
  }
  const sectionPlaces = new Map(sectionNames.map((section) => [section, placeOf(section)]));
  const tables = { world: document["world"], fragment: document["fragment"] };
  return { values, problems, sectionPlaces, world: { file: name, tables, lines } };
}

/** Reads `SUSTENET_<SECTION>_<KEY>` variables; an empty one counts as not set. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): GivenValues {
  const values = new Map<string, GivenValue>();
  for (const row of settingRows) {
    const name = variableName(row);
    const text = environment[name];
    if (text === undefined || text === "") continue;
    values.set(`${row.section}.${row.key}`, { value: row.fromText(text), place: name, fromFile: false });
  }
  // The short name, for people at a terminal.
  const level = environment[shortLevelName];
  if (level !== undefined && level !== "" && !values.has("cluster.log_level")) {
    values.set("cluster.log_level", { value: level, place: shortLevelName, fromFile: false });
  }
  return { values, problems: [], sectionPlaces: new Map() };
}

/**
 * Variables that look like settings and are none, with the nearest that is. Not problems: Kubernetes sets some of these
 * names by itself for a service called `sustenet-cluster`.
 */
export function strangeVariables(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
  const known = settingRows.map(variableName);
  return Object.keys(environment)
    .filter((name) => /^SUSTENET_(?:ALL|CLUSTER)_/.test(name) && !known.includes(name))
    .map((name) => {
      const near = nearest(
        name.toLowerCase(),
        known.map((other) => other.toLowerCase()),
      );
      return `${name} is not a setting${near === undefined ? "" : `; did you mean ${near.toUpperCase()}?`}`;
    });
}

function variableName(row: SettingRow<unknown>): string {
  return `SUSTENET_${row.section}_${row.key}`.toUpperCase();
}

function parseToml(name: string, toml: string): Record<string, unknown> {
  try {
    return parse(toml);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const place = `${name}:${error.line}:${error.column}`;
    const repeated = error.message.includes("redefine") ? findRepeated(toml, error.line) : undefined;
    if (repeated !== undefined) {
      throw new ConfigError([`${place}: ${repeated.name} is there already, in line ${repeated.line}`]);
    }
    // The rest of the message quotes the file.
    const [reason = ""] = error.message.replace("Invalid TOML document: ", "").split("\n", 1);
    throw new ConfigError([`${place}: not TOML: ${reason}`]);
  }
}

function unknownTopLevel(name: string, isSectionHeader: boolean): string {
  if (isSectionHeader) {
    const near = nearest(name, [...sectionNames, ...worldTables]);
    const hint = near === undefined ? "" : `; did you mean ${near === "fragment" ? "[[fragment]]" : `[${near}]`}?`;
    return `[${name}]: unknown section, expected [all] or [cluster]${hint}`;
  }
  const home = settingRows.find((row) => row.key === name);
  return home === undefined
    ? `${name}: unknown key outside of a section, expected [all] or [cluster]`
    : `${name}: expected under [${home.section}]`;
}

function unknownKey(section: Section, key: string): string {
  const home = settingRows.find((row) => row.key === key);
  if (home !== undefined) return `[${section}] ${key}: expected under [${home.section}]`;
  const near = nearest(
    key,
    settingRows.filter((row) => row.section === section).map((row) => row.key),
  );
  return `[${section}] ${key}: unknown key${near === undefined ? "" : `; did you mean ${near}?`}`;
}

function findRow(section: Section, key: string): SettingRow<unknown> | undefined {
  return settingRows.find((row) => row.section === section && row.key === key);
}

function isSection(name: string): name is Section {
  return name === "all" || name === "cluster";
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
