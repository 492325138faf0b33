import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { z } from "zod";
import type { Effort } from "./setup.ts";
import type { Row } from "./row.ts";

const earlierSchema = z.object({ rows: z.array(z.looseObject({ scenario: z.string() })) });

/** Writes the rows; those of scenarios that did not run this time stay as they were, with their own dates. */
export function writeResults(file: string, rows: readonly Row[], effort: Effort): void {
  const ran = new Set(rows.map(({ scenario }) => scenario));
  const kept = readEarlier(file).filter(({ scenario }) => !ran.has(scenario));
  const results = {
    machine: `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} cores`,
    node: process.version,
    openssl: process.versions.openssl,
    effort,
    rows: [...kept, ...rows],
  };
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
}

function readEarlier(file: string): readonly { scenario: string }[] {
  if (!existsSync(file)) return [];
  try {
    return earlierSchema.parse(JSON.parse(readFileSync(file, "utf8"))).rows;
  } catch {
    return [];
  }
}

/** The rows for people, as a Markdown table. */
export function formatTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.name,
    valueAndNoise(row.ours, row.oursSpread),
    valueAndNoise(row.peer, row.peerSpread),
    row.unit,
    row.void === null ? `${row.ratio}×` : "void",
    row.goal === null ? "" : `≤ ${row.goal.toFixed(2)}×`,
    row.void ?? (row.meets === null ? "beside" : row.meets ? "met" : "MISSED"),
  ]);
  const table = [["scenario / peer", "ours", "peer", "unit", "ours / peer", "goal", ""], ...lines];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
  const shown = table.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  shown.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return shown.join("\n");
}

function valueAndNoise(value: number | null, share: number | null): string {
  if (value === null) return "–";
  return share === null ? String(value) : `${value} ± ${Math.round(share * 100)} %`;
}
