import type { Command } from "../command.ts";
import { UsageError } from "../usage-error.ts";
import { parseAdminArguments } from "./arguments.ts";
import { newest } from "./pages.ts";
import { formatTable, formatTime, show } from "./table.ts";

interface Recorded {
  readonly playerId: string;
  readonly clusterId: string;
  readonly clusterName: string;
  readonly allocatedAtMs: number;
  readonly joinedAtMs: number | null;
  readonly leftAtMs: number | null;
  readonly outcome: string;
}

interface ClusterEvent {
  readonly clusterId: string;
  readonly clusterName: string;
  readonly event: string;
  readonly shard: string;
  readonly boot: number;
  readonly atMs: number;
}

const where = "--master URL --token-file FILE [--json]";
const options = { player: { type: "string" }, cluster: { type: "string" }, limit: { type: "string" } } as const;

/** Commands about what is on record. */
export const historyCommands: Readonly<Record<string, Command>> = {
  history: {
    usage: `history --player PLAYER | --cluster CLUSTER [--limit N] ${where}`,
    does: "shows who was given a seat where, and what came of it, the newest first; 50 unless --limit says otherwise",
    run: async (args) => {
      const given = parseAdminArguments(args, options, 0);
      const [player, cluster] = [given.text("player"), given.text("cluster")];
      if ((player === undefined) === (cluster === undefined)) {
        throw new UsageError("history needs --player or --cluster, one of them");
      }
      const of =
        player === undefined
          ? `/clusters/${encodeURIComponent(cluster ?? "")}`
          : `/players/${encodeURIComponent(player)}`;
      const seats = await newest<Recorded>(given, `${of}/allocations`, "allocations", {});
      show(given.json, seats, () =>
        formatTable(
          ["TIME", "PLAYER", "CLUSTER", "NAME", "OUTCOME", "JOINED", "LEFT"],
          seats.map((seat) => [
            formatTime(seat.allocatedAtMs),
            seat.playerId,
            seat.clusterId,
            seat.clusterName,
            seat.outcome,
            formatTime(seat.joinedAtMs),
            formatTime(seat.leftAtMs),
          ]),
        ),
      );
    },
  },
  "cluster-events": {
    usage: `cluster-events [--cluster CLUSTER] [--limit N] ${where}`,
    does: "shows what became of clusters, the newest first; 50 unless --limit says otherwise",
    run: async (args) => {
      const { player: _, ...own } = options;
      const given = parseAdminArguments(args, own, 0);
      const query = { clusterId: given.text("cluster") };
      const events = await newest<ClusterEvent>(given, "/cluster-events", "events", query);
      show(given.json, events, () =>
        formatTable(
          ["TIME", "CLUSTER", "NAME", "EVENT", "SHARD", "BOOT"],
          events.map(({ atMs, clusterId, clusterName, event, shard, boot }) => [
            formatTime(atMs),
            clusterId,
            clusterName,
            event,
            shard,
            String(boot),
          ]),
        ),
      );
    },
  },
};
