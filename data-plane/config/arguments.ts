import type { GivenValue, GivenValues } from "./given-values.ts";
import { nearest } from "./nearest.ts";
import { settingRows, type SettingRow } from "./setting-table.ts";

/** What a command line says. */
export interface Arguments {
  /** From `--config FILE`. */
  readonly configFile: string | undefined;
  /** From `--print-config`. */
  readonly printConfig: boolean;
  /** From `--help` or `-h`. */
  readonly help: boolean;
  /** From `--tick-hz 60`, `--tick-hz=60`, and the like for every setting, and what is wrong with them. */
  readonly flags: GivenValues;
}

/**
 * Reads flags: each setting's is its key with dashes. One that takes true or false may stand alone. Whatever follows `--`
 * is the program's own. Values are never quoted in problems.
 */
export function readArguments(args: readonly string[]): Arguments {
  const values = new Map<string, GivenValue>();
  const problems: string[] = [];
  let configFile: string | undefined;
  let printConfig = false;
  let help = false;
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : [...args];
  for (let index = 0; index < own.length; index += 1) {
    const [flag, inline] = splitAtEquals(own[index] ?? "");
    if (flag === "--print-config" && inline === undefined) {
      printConfig = true;
      continue;
    }
    if ((flag === "--help" || flag === "-h") && inline === undefined) {
      help = true;
      continue;
    }
    const row = settingRows.find((candidate) => flagName(candidate) === flag);
    if (row === undefined && flag !== "--config") {
      problems.push(unknown(flag, index));
      // What was meant for its value is no flag of its own.
      if (flag.startsWith("--") && inline === undefined && own[index + 1]?.startsWith("-") === false) index += 1;
      continue;
    }
    const following = own[index + 1];
    const takesNext = inline === undefined && following !== undefined && !following.startsWith("--");
    const alone = row?.fromText("true") === true ? "true" : undefined;
    const text = inline ?? (takesNext ? following : alone);
    if (takesNext) index += 1;
    if (text === undefined || text === "") problems.push(`${flag}: expected ${row?.expected ?? "a file"} after it`);
    else if (row === undefined) configFile = text;
    else values.set(`${row.section}.${row.key}`, { value: row.fromText(text), place: flag, fromFile: false });
  }
  return { configFile, printConfig, help, flags: { values, problems, sectionPlaces: new Map() } };
}

function flagName(row: SettingRow<unknown>): string {
  return `--${row.key.replaceAll("_", "-")}`;
}

function splitAtEquals(argument: string): readonly [string, string?] {
  const at = argument.indexOf("=");
  return at < 0 ? [argument] : [argument.slice(0, at), argument.slice(at + 1)];
}

function unknown(flag: string, index: number): string {
  // Not quoted: what is no flag may be anything.
  if (!/^--[a-z0-9-]{1,40}$/.test(flag)) return `argument ${index + 1}: expected a flag like --tick-hz`;
  const near = nearest(flag, ["--config", "--print-config", "--help", ...settingRows.map(flagName)]);
  return `${flag}: unknown flag${near === undefined ? "" : `; did you mean ${near}?`}`;
}
