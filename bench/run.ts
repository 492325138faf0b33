/** `npm run bench [-- NAME …]`: measures this cluster beside its peers, prints a table, writes bench/results.json. */
import { mkdirSync } from "node:fs";
import { join as joinPath } from "node:path";
import { machineFault, pinThisProcess } from "./cores.ts";
import { type BenchOptions, benchHelp, parseBenchOptions } from "./options.ts";
import { ensurePeers } from "./peers.ts";
import { formatTable, writeResults } from "./results.ts";
import type { Row } from "./row.ts";
import { allocate } from "./scenarios/allocate.ts";
import { echo } from "./scenarios/echo.ts";
import { fleet } from "./scenarios/fleet.ts";
import { handover } from "./scenarios/handover.ts";
import { join } from "./scenarios/join.ts";
import { links } from "./scenarios/links.ts";
import { memory } from "./scenarios/memory.ts";
import { sendEach } from "./scenarios/send-each.ts";
import { smallMessages } from "./scenarios/small-messages.ts";
import { worldCrowd } from "./scenarios/world-crowd.ts";
import { worldGrowth } from "./scenarios/world-growth.ts";
import { worldViews } from "./scenarios/world-views.ts";
import { createSetup } from "./setup.ts";

const scenarios = [
  echo,
  sendEach,
  smallMessages,
  join,
  memory,
  worldViews,
  worldGrowth,
  worldCrowd,
  handover,
  allocate,
  fleet,
  links,
];
const resultsFile = joinPath(import.meta.dirname, "results.json");

process.exitCode = await main();

/** 0 when all goals are met, 1 when one is missed or its row is void, 2 when nothing could be measured. */
async function main(): Promise<number> {
  const names = scenarios.map(({ name }) => name);
  try {
    const options = parseBenchOptions(process.argv.slice(2), names);
    if (options === "help") {
      process.stdout.write(`${benchHelp(names)}\n`);
      return 0;
    }
    const fault = machineFault(options.cores);
    if (fault !== undefined) throw new Error(fault);
    const wanted = scenarios.filter(({ name }) => options.scenarios.includes(name));
    if (wanted.some(({ needsPeers = true }) => needsPeers)) ensurePeers(say);
    const rows = await run(options);
    if (rows.length > 0 && options.profileDir === undefined) writeResults(resultsFile, rows, options.effort);
    process.stdout.write(`\n${formatTable(rows)}\n`);
    return rows.every((row) => row.goal === null || row.meets === true) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

async function run(options: BenchOptions): Promise<Row[]> {
  const { cores, effort, loads, profileDir } = options;
  pinThisProcess(cores.load);
  if (profileDir !== undefined) mkdirSync(profileDir, { recursive: true });
  const setup = await createSetup({ cores, effort, loads, profileDir, say });
  const rows: Row[] = [];
  try {
    for (const scenario of scenarios) {
      if (!options.scenarios.includes(scenario.name)) continue;
      rows.push(...(await scenario.run(setup, (contender) => options.contenders.has(contender))));
    }
  } finally {
    await setup.dispose();
  }
  return rows;
}

/** Progress goes to standard error: standard output is the table alone. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
