import { nearest } from "../data-plane/config/nearest.ts";
import type { Command } from "./command.ts";

type Commands = Readonly<Record<string, Command>>;

/** What a command line asks for. */
export type Request =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "unknown"; readonly text: string }
  | { readonly kind: "run"; readonly name: string; readonly command: Command; readonly args: readonly string[] };

/**
 * Which command is meant, or which help: `help`, `help COMMAND`, `COMMAND --help`. A name that is none gets the nearest that is.
 *
 * @param overview of all commands
 */
export function readRequest(words: readonly string[], commands: Commands, overview: string): Request {
  const [name = "help", ...args] = words;
  const isHelp = isAskingForHelp([name]) || name === "help";
  const wanted = isHelp ? args.find((word) => !word.startsWith("-")) : name;
  if (wanted === undefined) return { kind: "help", text: overview };
  const command = Object.hasOwn(commands, wanted) ? commands[wanted] : undefined;
  if (command === undefined) return { kind: "unknown", text: unknownCommand(wanted, Object.keys(commands)) };
  if (isHelp || isAskingForHelp(args)) return { kind: "help", text: commandHelp(command) };
  return { kind: "run", name: wanted, command, args };
}

/** Whether `--help` or `-h` is among the words that may be flags. */
export function isAskingForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === "--help" || arg === "-h");
}

function commandHelp({ usage, does }: Command): string {
  return `usage: sustenet ${usage}\n\n${does}`;
}

function unknownCommand(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  const advice = near === undefined ? "" : `; did you mean "${near}"?`;
  return `there is no command "${name}"${advice}\nnpx sustenet help lists them all`;
}
