import { nearest } from "../config/nearest.ts";
import { hookNames } from "./hook-names.ts";
import type { ServerPlugin } from "./server-plugin.ts";

/** What a plugin has that looks like a hook and is none, as one that is misspelt. */
export interface UnknownHook {
  readonly name: string;
  /** The hook that was most likely meant, if one is near. */
  readonly meant: string | undefined;
}

const hooks: ReadonlySet<string> = new Set(hookNames.filter((name) => name.startsWith("on")));

/** The functions of a plugin, or of its class, that are called like hooks and are none. */
export function unknownHooks(plugin: ServerPlugin): readonly UnknownHook[] {
  const lowerCase = new Map([...hooks].map((name) => [name.toLowerCase(), name]));
  return [...functionNames(plugin)]
    .filter((name) => /^on\p{Lu}/u.test(name) && !hooks.has(name))
    .map((name) => ({ name, meant: lowerCase.get(nearest(name, [...lowerCase.keys()]) ?? "") }));
}

/** Runs nothing of the plugin's: a getter is left alone. */
function functionNames(plugin: object): ReadonlySet<string> {
  const names = new Set<string>();
  for (let holder: unknown = plugin; isHolder(holder); holder = Object.getPrototypeOf(holder)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      if (typeof value === "function") names.add(name);
    }
  }
  return names;
}

function isHolder(value: unknown): value is object {
  return typeof value === "object" && value !== null && value !== Object.prototype;
}
