import type { Command } from "../command.ts";
import { UsageError } from "../usage-error.ts";
import type { AdminApi } from "./admin-api.ts";
import { type Options, parseAdminArguments } from "./arguments.ts";
import { everyPage } from "./pages.ts";
import { formatTable, formatTime, show } from "./table.ts";

interface Cluster {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly state: string;
  readonly reason: string | null;
  readonly locked: boolean;
  readonly players: number;
  readonly capacity: number;
  readonly software: string;
  readonly protocol: { readonly min: number; readonly max: number };
  readonly gameBuild: string;
  readonly lastReportAtMs: number;
}

interface Orders {
  readonly version: number;
  readonly locked: boolean;
  readonly drain: { readonly deadlineAtMs: number; readonly movePlayers: boolean } | null;
  readonly settings: Readonly<Record<string, unknown>>;
}

interface Summary {
  readonly clusters: number;
  readonly ready: number;
  readonly suspect: number;
  readonly locked: number;
  readonly draining: number;
  readonly capacity: number;
  readonly unlimited: number;
  readonly seats: number;
  readonly players: number;
}

const where = "--master URL --token-file FILE [--json]";

/** Commands about clusters. */
export const clusterCommands: Readonly<Record<string, Command>> = {
  clusters: {
    usage: `clusters [--region R] [--state S] ${where}`,
    does: "lists the clusters, and why one is not offered",
    run: async (args) => {
      const given = parseAdminArguments(args, { region: { type: "string" }, state: { type: "string" } }, 0);
      const clusters: Cluster[] = [];
      const query = { region: given.text("region"), state: given.text("state"), limit: "500" };
      const pages = everyPage<{ clusters: Cluster[]; next: string | null }>(given.api(), "/clusters", query);
      for await (const page of pages) clusters.push(...page.clusters);
      show(given.json, clusters, () => clusterTable(clusters));
    },
  },
  capacity: {
    usage: `capacity ${where}`,
    does: "sums up what there is and what is taken, by region and shard",
    run: async (args) => {
      const given = parseAdminArguments(args, {}, 0);
      interface Capacity {
        readonly total: Summary;
        readonly regions: readonly {
          readonly region: string;
          readonly shards: readonly { readonly shard: string; readonly summary: Summary | null }[];
        }[];
      }
      const capacity = await given.api().call<Capacity>("GET", "/capacity");
      show(given.json, capacity, () => {
        const shards = capacity.regions.flatMap((region) => region.shards);
        const rows = [
          ...shards.map(({ shard, summary }) => [shard, summary] as const),
          ["all", capacity.total] as const,
        ];
        return formatTable(
          ["SHARD", "CLUSTERS", "READY", "SUSPECT", "LOCKED", "DRAINING", "PLAYERS", "SEATS", "CAPACITY"],
          rows.map(([name, sums]) => [name].concat(sums === null ? "(did not answer)" : summaryCells(sums))),
        );
      });
    },
  },
  lock: ordering("lock CLUSTER [--reason TEXT]", "offers a cluster to nobody; who plays there plays on", {
    method: "PUT",
    path: "lock",
    body: (given) => ({ reason: given.text("reason") }),
  }),
  unlock: ordering("unlock CLUSTER", "offers it again", { method: "DELETE", path: "lock" }),
  drain: {
    usage: `drain CLUSTER [--deadline SECONDS] [--move] [--reason TEXT] ${where}`,
    does: "empties a cluster and ends its process, within 600 s unless --deadline says otherwise; --move sends its players to others",
    run: async (args) => {
      const options = { deadline: { type: "string" }, move: { type: "boolean" }, reason: { type: "string" } } as const;
      const given = parseAdminArguments(args, options, 1);
      const body = {
        deadlineSeconds: given.count("deadline") ?? 600,
        movePlayers: given.flag("move"),
        reason: given.text("reason"),
      };
      await order(given.api(), given.json, given.positionals[0] ?? "", { method: "PUT", path: "drain", body });
    },
  },
  undrain: ordering("undrain CLUSTER", "takes the order to drain back", { method: "DELETE", path: "drain" }),
  settings: {
    usage: `settings CLUSTER [--set NAME=VALUE …] [--unset NAME …] [--reason TEXT] ${where}`,
    does: "shows or changes what holds for a cluster in place of what it declares",
    run: async (args) => {
      const options = {
        set: { type: "string", multiple: true },
        unset: { type: "string", multiple: true },
        reason: { type: "string" },
      } as const;
      const given = parseAdminArguments(args, options, 1);
      const id = given.positionals[0] ?? "";
      const api = given.api();
      const changes = given.texts("set").map(parseSetting);
      const unset = given.texts("unset").map(settingName);
      const orders = await api.call<Orders>("GET", `/clusters/${encodeURIComponent(id)}/orders`);
      if (changes.length + unset.length === 0) return show(given.json, orders, () => describeOrders(id, orders));
      const kept = Object.entries(orders.settings).filter(([name]) => !unset.includes(name));
      const settings = Object.fromEntries([...kept, ...changes]);
      const body = { settings, ifVersion: orders.version, reason: given.text("reason") };
      await order(api, given.json, id, { method: "PUT", path: "settings", body });
    },
  },
};

interface Ordering {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

/** A command that gives one order and takes a reason at most. */
function ordering(
  usage: string,
  does: string,
  how: Omit<Ordering, "body"> & { readonly body?: (given: ReturnType<typeof parseAdminArguments>) => unknown },
): Command {
  return {
    usage: `${usage} ${where}`,
    does,
    run: async (args) => {
      const options: Options = how.body === undefined ? {} : { reason: { type: "string" } };
      const given = parseAdminArguments(args, options, 1);
      await order(given.api(), given.json, given.positionals[0] ?? "", { ...how, body: how.body?.(given) });
    },
  };
}

async function order(api: AdminApi, json: boolean, id: string, how: Ordering): Promise<void> {
  const orders = await api.call<Orders>(how.method, `/clusters/${encodeURIComponent(id)}/${how.path}`, how.body);
  show(json, orders, () => describeOrders(id, orders));
}

function describeOrders(id: string, { version, locked, drain, settings }: Orders): string {
  const lines = [
    `cluster   ${id}`,
    `version   ${version}`,
    `locked    ${locked ? "yes" : "no"}`,
    `drain     ${drain === null ? "no" : `until ${formatTime(drain.deadlineAtMs)}${drain.movePlayers ? ", moving its players" : ""}`}`,
    ...Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
  ];
  return lines.join("\n");
}

function summaryCells(sums: Summary): string[] {
  const { clusters, ready, suspect, locked, draining, players, seats, capacity, unlimited } = sums;
  const counts = [clusters, ready, suspect, locked, draining, players, seats].map(String);
  return counts.concat(`${capacity}${unlimited > 0 ? ` + ${unlimited} without a limit` : ""}`);
}

function clusterTable(clusters: readonly Cluster[]): string {
  if (clusters.length === 0) return "there are no clusters";
  return formatTable(
    ["ID", "NAME", "REGION", "STATE", "PLAYERS", "PROTOCOL", "BUILD", "SOFTWARE", "LAST REPORT", "WHY NOT OFFERED"],
    clusters.map((cluster) => [
      cluster.id,
      cluster.name,
      cluster.region,
      cluster.locked ? `${cluster.state}, locked` : cluster.state,
      `${cluster.players}${cluster.capacity === 0 ? "" : `/${cluster.capacity}`}`,
      `${cluster.protocol.min}–${cluster.protocol.max}`,
      cluster.gameBuild || "–",
      cluster.software || "–",
      formatTime(cluster.lastReportAtMs),
      cluster.reason ?? "",
    ]),
  );
}

/** Settings by the names of the API, each with how its value is typed. */
const settingParsers: Readonly<Record<string, (text: string) => unknown>> = {
  capacity: parseNumber,
  ticketLifetimeSeconds: parseNumber,
  joinRatePerSecond: parseNumber,
  tags: (text) => (text === "" ? [] : text.split(",")),
  labels: (text) =>
    Object.fromEntries(
      (text === "" ? [] : text.split(",")).map((pair) => {
        const at = pair.indexOf(":");
        if (at < 1) throw new UsageError("labels are typed as labels=name:value,name:value");
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
    ),
};

function parseSetting(text: string): readonly [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError("--set takes NAME=VALUE");
  const name = settingName(text.slice(0, at));
  return [name, settingParsers[name]?.(text.slice(at + 1))];
}

function settingName(name: string): string {
  if (Object.hasOwn(settingParsers, name)) return name;
  throw new UsageError(`there is no setting "${name}": ${Object.keys(settingParsers).join(", ")}`);
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new UsageError(`"${text}" is not a number`);
  return value;
}
