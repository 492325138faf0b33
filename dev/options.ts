import { isAskingForHelp } from "../cli/command-help.ts";
import { parseTyped } from "../cli/typed-options.ts";
import { parseCount } from "./count-flag.ts";
import { parseMasterPort } from "./master-port.ts";

/** What `npm start` was asked for. */
export interface StartOptions {
  readonly players: number;
  readonly clusters: number;
  /** How long the players play once all have joined; undefined: until Ctrl-C. */
  readonly seconds: number | undefined;
  /** Whether to end with one line of JSON on standard output. */
  readonly json: boolean;
  /** Port of the master; undefined: 6256, or any free one where that is taken. */
  readonly port: number | undefined;
  /** Folder that holds databases, keys and the Worker bundle. */
  readonly stateDir: string;
}

export const startHelp = `npm start [-- OPTIONS]   runs a master, clusters and players on this machine

  --players N     players who play (default 10; 0 to 1000)
  --clusters N    cluster processes (default 2; 1 to 16); up to four share one world
  --seconds S     stop S seconds after all have joined (default: run until Ctrl-C)
  --json          end with one line of JSON on standard output; progress goes to standard error
  --port N        the master's port (default 6256, or a free one where that is taken; 0: any free one)
  --state DIR     where databases and keys are kept (default .sustenet; npm run clean wipes it)
  --help          this text`;

const startFlags = {
  players: { type: "string", default: "10" },
  clusters: { type: "string", default: "2" },
  seconds: { type: "string" },
  json: { type: "boolean", default: false },
  port: { type: "string" },
  state: { type: "string", default: ".sustenet" },
} as const;

export const startFlagNames: readonly string[] = Object.keys(startFlags);

/** Parses the flags. Returns the help text, or throws an Error that says which flag is wrong and what it takes. */
export function parseStartOptions(args: readonly string[]): StartOptions | "help" {
  if (isAskingForHelp(args)) return "help";
  const { values } = parseTyped(args, startFlags, false);
  return {
    players: parseCount("players", values.players, 0, 1_000),
    clusters: parseCount("clusters", values.clusters, 1, 16),
    seconds: values.seconds === undefined ? undefined : parseCount("seconds", values.seconds, 1, 86_400),
    json: values.json,
    port: values.port === undefined ? undefined : parseMasterPort(values.port),
    stateDir: values.state,
  };
}
