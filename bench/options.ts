import { parseArgs } from "node:util";
import { type ContenderName, contenderNames } from "./contenders/contender.ts";
import type { Cores } from "./cores.ts";
import type { Effort } from "./setup.ts";
import { worldLoads } from "./world-plan.ts";

/** What `npm run bench` was asked for. */
export interface BenchOptions {
  readonly scenarios: readonly string[];
  readonly contenders: ReadonlySet<ContenderName>;
  readonly effort: Effort;
  readonly cores: Cores;
  readonly profileDir: string | undefined;
  /** How many players `world-views` is measured with, one after the other. */
  readonly loads: readonly number[];
}

const full: Effort = { windowMs: 4_000, rounds: 7, warmUpMs: 4_000, warmUpJoins: 1_600, settleMs: 500 };
const quick: Effort = { windowMs: 1_500, rounds: 3, warmUpMs: 1_500, warmUpJoins: 300, settleMs: 300 };

export function benchHelp(scenarios: readonly string[]): string {
  return `npm run bench [-- NAME … OPTIONS]   measures this cluster beside its peers

  NAME              one of ${scenarios.join(", ")}; without one, all. The first words of a name stand for all that begin so: world
  --quick           short windows, few rounds: shows that it runs, not how fast
  --contenders A,B  only these: ${contenderNames.join(", ")}
  --players N,N     loads of world-views (default ${worldLoads.join(",")})
  --profile DIR     write CPU profiles of the servers; then the figures are of profiled servers
  --server-core N   core for the servers (default 0)
  --load-core N     core for the load and all else (default 1)
  --help            this text`;
}

/** Parses the flags. Returns the help text, or throws an Error that says which flag is wrong and what it takes. */
export function parseBenchOptions(args: readonly string[], scenarios: readonly string[]): BenchOptions | "help" {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      contenders: { type: "string" },
      players: { type: "string" },
      profile: { type: "string" },
      "server-core": { type: "string", default: "0" },
      "load-core": { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const wanted = positionals.flatMap((name) => {
    const found = scenarios.filter((scenario) => scenario === name || scenario.startsWith(`${name}-`));
    if (found.length === 0) throw new Error(`there is no scenario "${name}": take ${scenarios.join(", ")}`);
    return found;
  });
  return {
    scenarios: wanted.length === 0 ? scenarios : wanted,
    contenders: parseContenders(values.contenders),
    effort: values.quick ? quick : full,
    cores: { server: parseCore(values["server-core"]), load: parseCore(values["load-core"]) },
    profileDir: values.profile,
    loads: values.players === undefined ? worldLoads : values.players.split(",").map(parseLoad),
  };
}

function parseLoad(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`--players takes numbers from 1 to 9999, not "${text}"`);
  return Number(text);
}

function parseContenders(list: string | undefined): ReadonlySet<ContenderName> {
  if (list === undefined) return new Set(contenderNames);
  const wanted = list.split(",").map((name) => {
    const found = contenderNames.find((known) => known === name);
    if (found === undefined) throw new Error(`--contenders takes ${contenderNames.join(", ")}, not "${name}"`);
    return found;
  });
  return new Set(wanted);
}

function parseCore(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new Error(`a core is a number, not "${text}"`);
  return Number(text);
}
