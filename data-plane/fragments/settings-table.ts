import type { FragmentSettings, Level } from "./layout.ts";
import type { NumberRange, TableReader } from "./table-reader.ts";

/** Most `[[…threshold]]` entries of a fragment. */
const maxThresholds = 16;

/** Settings that a fragment and its thresholds may give. */
interface SettingRow {
  readonly key: string;
  readonly range: NumberRange;
  readonly fallback: number;
  /** What may happen to it as a population grows. */
  readonly course: "falls" | "rises";
}

const rows = {
  updateHz: { key: "update_hz", range: { min: 0.1, max: 128 }, fallback: 20, course: "falls" },
  viewRange: { key: "view_range", range: { min: 1e-3, max: 1e6 }, fallback: 100, course: "falls" },
  maxVisible: { key: "max_visible", range: { min: 1, max: 1_000, integer: true }, fallback: 50, course: "falls" },
  precision: { key: "precision", range: { min: 1e-6, max: 1e3 }, fallback: 0.01, course: "rises" },
  byteBudget: { key: "byte_budget", range: { min: 1_000, max: 1e8, integer: true }, fallback: 64_000, course: "falls" },
} as const satisfies Record<keyof FragmentSettings, SettingRow>;

const names = ["updateHz", "viewRange", "maxVisible", "precision", "byteBudget"] as const;

/**
 * Reads a fragment's settings and its thresholds, each of which takes over what it does not say from the one before.
 *
 * @param capacity most players of the fragment; 0 means no limit
 */
export function readLevels(reader: TableReader, capacity: number): [Level, ...Level[]] {
  const own: Level = { players: 0, settings: readSettings(reader, undefined) };
  const levels: [Level, ...Level[]] = [own];
  let before: { level: Level; reader: TableReader } = { level: own, reader };
  for (const threshold of reader.tables("threshold", maxThresholds)) {
    const players = threshold.number("players", { min: 1, max: 1e6, integer: true }, undefined);
    if (players === undefined && !threshold.has("players"))
      threshold.complain("players", "missing, expected a population");
    const level: Level = {
      players: players ?? before.level.players,
      settings: readSettings(threshold, before.level.settings),
    };
    threshold.end();
    if (players !== undefined) assertReachable(threshold, level, before, reader, capacity);
    assertCourse(threshold, level, before);
    levels.push(level);
    before = { level, reader: threshold };
  }
  return levels;
}

function readSettings(reader: TableReader, before: FragmentSettings | undefined): FragmentSettings {
  const read = (name: keyof FragmentSettings): number => {
    const { key, range, fallback } = rows[name];
    return reader.number(key, range, before?.[name] ?? fallback);
  };
  return {
    updateHz: read("updateHz"),
    viewRange: read("viewRange"),
    maxVisible: read("maxVisible"),
    precision: read("precision"),
    byteBudget: read("byteBudget"),
  };
}

function assertReachable(
  threshold: TableReader,
  { players }: Level,
  before: { level: Level; reader: TableReader },
  fragment: TableReader,
  capacity: number,
): void {
  if (before.level.players >= players) {
    threshold.complain(
      "players",
      `expected more than ${before.level.players} of ${before.reader.at("players")}, got ${players}`,
    );
  }
  if (capacity > 0 && players >= capacity) {
    threshold.complain("players", `expected less than ${capacity} of ${fragment.at("capacity")}, got ${players}`);
  }
}

/** A crowd must cost less for each player, never more. */
function assertCourse(threshold: TableReader, level: Level, before: { level: Level; reader: TableReader }): void {
  if (!names.some((name) => threshold.has(rows[name].key))) {
    threshold.problems.push({
      path: threshold.path,
      message: `changes nothing, expected ${names.map((name) => rows[name].key).join(" or ")}`,
    });
  }
  for (const name of names) {
    const { key, course } = rows[name];
    const now = level.settings[name];
    const then = before.level.settings[name];
    if (course === "falls" ? now <= then : now >= then) continue;
    const bound = course === "falls" ? "at most" : "at least";
    const place = before.reader.has(key) ? before.reader.at(key) : `the level before (${before.reader.path})`;
    threshold.complain(key, `expected ${bound} ${then} of ${place}, got ${now}`);
  }
}
