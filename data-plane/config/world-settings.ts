import { type Layout } from "../fragments/layout.ts";
import { type LayoutTables, parseLayout } from "../fragments/layout-parser.ts";
import { keyPath } from "./key-lines.ts";

/** The tables of a Config.toml that lay out the world, still unchecked, and where their keys are. */
export interface WorldTables {
  readonly file: string;
  readonly tables: LayoutTables;
  /** By {@link keyPath}. */
  readonly lines: ReadonlyMap<string, number>;
}

/** The world's layout; `undefined` where the file does not speak of one, or what it says is wrong. */
export interface WorldSettings {
  readonly layout: Layout | undefined;
  readonly problems: readonly string[];
}

/** Names of places within the file, as they stand in problems: `fragment[1].threshold[0].players`, `world.grid`. */
const placeName = /\b(?:world|fragment)(?:\[\d+\])?(?:\.\w+(?:\[\d+\])?)*/g;

/** Reads the layout. Each problem names every place that it speaks of, with its line. */
export function readWorldSettings({ file, tables, lines }: WorldTables): WorldSettings {
  if (tables.world === undefined && tables.fragment === undefined) return { layout: undefined, problems: [] };
  const lineOf = (path: string): number | undefined => {
    const parts = path.split(/[.[\]]+/).filter((part) => part !== "");
    for (let length = parts.length; length > 0; length -= 1) {
      const line = lines.get(keyPath(...parts.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  };
  const { layout, problems = [] } = parseLayout(tables);
  const told = problems.map(({ path, message }) => {
    const line = lineOf(path);
    const text = message.replaceAll(placeName, (name) => {
      const other = /[.[]/.test(name) ? lineOf(name) : undefined;
      return other === undefined || other === line ? name : `${name} in line ${other}`;
    });
    return `${file}:${line ?? 1}: ${path}: ${text}`;
  });
  return { layout, problems: told };
}
