import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { nearest } from "../data-plane/config/nearest.ts";
import { UsageError } from "./usage-error.ts";

/**
 * The flags and arguments that were typed. A flag that takes a value has the next word for it, also one that begins with a dash:
 * ids of keys may. A word that is itself one of the flags is never a value. There are no short flags: where words are taken that are no
 * flags, one that begins with a single dash is such a word, as ids of clusters may.
 *
 * @throws UsageError
 */
export function parseTyped<O extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: O,
  allowPositionals: boolean,
) {
  const sorted = sortWords(args, options);
  const [stray] = sorted.words;
  if (!allowPositionals && stray !== undefined) throw new UsageError(`"${stray}" is not expected here`);
  try {
    return parseArgs({ args: [...sorted.flags, "--", ...sorted.words], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

interface SortedWords {
  /** Flags, each with its value as `--name=value`. */
  readonly flags: readonly string[];
  readonly words: readonly string[];
}

function sortWords(args: readonly string[], options: ParseArgsOptionsConfig): SortedWords {
  const flags: string[] = [];
  const words: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (arg === "--") return { flags, words: [...words, ...args.slice(at + 1)] };
    if (!arg.startsWith("--")) {
      words.push(arg);
      continue;
    }
    const { name, hasValue } = flagOf(arg);
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) throw unknownFlag(name, options);
    if (option.type === "boolean") {
      if (hasValue) throw new UsageError(`--${name} takes no value`);
      flags.push(arg);
      continue;
    }
    const next = args[at + 1];
    if (!hasValue && (next === undefined || isFlag(next, options))) {
      throw new UsageError(`--${name} needs a value after it`);
    }
    flags.push(hasValue ? arg : `${arg}=${next}`);
    if (!hasValue) at += 1;
  }
  return { flags, words };
}

function flagOf(word: string): { readonly name: string; readonly hasValue: boolean } {
  const at = word.indexOf("=");
  return { name: word.slice(2, at < 0 ? undefined : at), hasValue: at >= 0 };
}

function isFlag(word: string, options: ParseArgsOptionsConfig): boolean {
  return word === "--" || (word.startsWith("--") && Object.hasOwn(options, flagOf(word).name));
}

function unknownFlag(name: string, options: ParseArgsOptionsConfig): UsageError {
  const near = nearest(name, Object.keys(options));
  return new UsageError(`there is no flag --${name}${near === undefined ? "" : `; did you mean --${near}?`}`);
}
