import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { UsageError } from "./usage-error.ts";

/**
 * The flags and arguments that were typed. A flag that takes a value has the next word for it, also one that begins with a dash:
 * ids of keys may. A word that is itself one of the flags is never a value.
 *
 * @throws UsageError
 */
export function parseTyped<O extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: O,
  allowPositionals: boolean,
) {
  try {
    return parseArgs({ args: withJoinedValues(args, options), options, allowPositionals });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function withJoinedValues(args: readonly string[], options: ParseArgsOptionsConfig): string[] {
  const joined: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const [arg = "", next] = args.slice(at, at + 2);
    if (arg === "--") return [...joined, ...args.slice(at)];
    const takesValue = arg.startsWith("--") && options[arg.slice(2)]?.type === "string";
    if (takesValue && next?.startsWith("-") === true && !isFlag(next, options)) {
      joined.push(`${arg}=${next}`);
      at += 1;
    } else {
      joined.push(arg);
    }
  }
  return joined;
}

function isFlag(word: string, options: ParseArgsOptionsConfig): boolean {
  const name = /^--([^=]*)/.exec(word)?.[1];
  return name !== undefined && (name === "" || name in options);
}
