import { readFileSync } from "node:fs";
import type { ParseArgsConfig } from "node:util";
import { parseTyped } from "../typed-options.ts";
import { UsageError } from "../usage-error.ts";
import { AdminApi } from "./admin-api.ts";
import { isLoopbackHost } from "../../protocol/index.ts";

/** Flags of every command that speaks to the master. */
const shared = {
  master: { type: "string" },
  "token-file": { type: "string" },
  json: { type: "boolean", default: false },
} as const satisfies ParseArgsConfig["options"];

export type Options = Readonly<Record<string, { type: "string" | "boolean"; multiple?: boolean }>>;

/** What was typed. */
export interface AdminArguments {
  readonly positionals: readonly string[];
  /** Whether the answer is to be JSON. */
  readonly json: boolean;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
  /** A whole number of at least 0. @throws UsageError */
  count(name: string): number | undefined;
  /** The master that was named. @throws UsageError when none was, or no token */
  api(): AdminApi;
}

/** @throws UsageError */
export function parseAdminArguments(args: readonly string[], options: Options, positionals: number): AdminArguments {
  const parsed = parseTyped(args, { ...options, ...shared }, true);
  if (parsed.positionals.length !== positionals) {
    throw new UsageError(`expected ${positionals === 0 ? "no" : positionals} argument${positionals === 1 ? "" : "s"}`);
  }
  const values: Readonly<Record<string, unknown>> = parsed.values;
  const text = (name: string) => (typeof values[name] === "string" ? values[name] : undefined);
  const texts = (name: string) => {
    const given = values[name];
    return Array.isArray(given) ? given.filter((each) => typeof each === "string") : [];
  };
  return {
    positionals: parsed.positionals,
    json: values["json"] === true,
    text,
    texts,
    flag: (name) => values[name] === true,
    count: (name) => {
      const given = text(name);
      if (given === undefined) return undefined;
      if (!/^\d{1,9}$/.test(given)) throw new UsageError(`--${name} takes a whole number`);
      return Number(given);
    },
    api: () => new AdminApi(masterOf(text("master")), tokenOf(text("token-file"))),
  };
}

/** Whether a command is to speak to a master, rather than to the database. */
export function namesMaster(args: readonly string[]): boolean {
  return (
    args.some((arg) => arg === "--master" || arg.startsWith("--master=")) ||
    (process.env["SUSTENET_MASTER"] ?? "") !== ""
  );
}

/**
 * Whether a command that works at a master or at its database is to work at the master. A database that is named goes before a master that
 * only the environment has.
 *
 * @throws UsageError when both are named
 */
export function choosesMaster(args: readonly string[]): boolean {
  const names = (flag: string): boolean => args.some((arg) => arg === flag || arg.startsWith(`${flag}=`));
  if (!names("--database")) return namesMaster(args);
  if (names("--master")) throw new UsageError("give --database or --master, not both");
  return false;
}

function masterOf(flag: string | undefined): string {
  const given = flag ?? process.env["SUSTENET_MASTER"] ?? "";
  if (given === "") throw new UsageError("name the master with --master URL, or in SUSTENET_MASTER");
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const isHere = url !== undefined && isLoopbackHost(url.hostname);
  if (url === undefined || (url.protocol !== "https:" && !(url.protocol === "http:" && isHere))) {
    throw new UsageError(`${given} is no https:// URL; plain http:// is for this machine alone`);
  }
  return url.origin;
}

/** Never a flag with the token itself: other users of this machine see what is typed. */
function tokenOf(file: string | undefined): string {
  let text = process.env["SUSTENET_TOKEN"] ?? "";
  if (file !== undefined) {
    try {
      text = readFileSync(file === "-" ? 0 : file, "utf8");
    } catch {
      throw new UsageError(`${file === "-" ? "standard input" : file} cannot be read`);
    }
  }
  const token = text.trim();
  if (token === "") {
    throw new UsageError(
      "give the operator's access token in SUSTENET_TOKEN, or with --token-file FILE (- is standard input)",
    );
  }
  if (!/^[\w.~+/=-]{1,8192}$/.test(token)) throw new UsageError("what was given is no access token");
  return token;
}
