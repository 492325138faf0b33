import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "../command.ts";
import { AdminError } from "./admin-api.ts";
import { parseAdminArguments } from "./arguments.ts";
import { EventBlocks, type EventBlock } from "./event-blocks.ts";
import { formatTime, show } from "./table.ts";

const retryMs = [1_000, 30_000] as const;

/** Commands about what happens, and to whom. */
export const eventCommands: Readonly<Record<string, Command>> = {
  events: {
    usage: "events [--after ID] [--once] --master URL --token-file FILE [--json]",
    does: "shows what happens as it happens, until Ctrl-C; --once ends when the stream does, and does not take it up again",
    run: async (args) => {
      const given = parseAdminArguments(args, { after: { type: "string" }, once: { type: "boolean" } }, 0);
      const api = given.api();
      let lastId = given.text("after");
      let hasBegun = false;
      for (let failures = 0; ;) {
        try {
          const blocks = new EventBlocks();
          const stream = await api.stream("/events", lastId);
          hasBegun = true;
          for await (const chunk of stream) {
            failures = 0;
            for (const block of blocks.add(chunk)) {
              lastId = block.id ?? lastId;
              print(block, given.json);
            }
          }
        } catch (error) {
          // A stream that breaks is to be taken up again, as soon as the master lets it; what it refuses for good it will refuse again.
          if (error instanceof AdminError && !error.passes) throw error;
          if (given.flag("once") || !hasBegun) throw error;
        }
        if (given.flag("once")) return;
        failures += 1;
        await sleep(Math.min(retryMs[1], retryMs[0] * 2 ** (failures - 1)) * (0.5 + Math.random() / 2));
      }
    },
  },
  player: {
    usage: "player PLAYER --master URL --token-file FILE [--json]",
    does: "shows what the master knows of a player's session, and a ban in force",
    run: async (args) => {
      const given = parseAdminArguments(args, {}, 1);
      interface Player {
        readonly id: string;
        readonly generation: number;
        readonly playing: { readonly generation: number; readonly clusterId: string } | null;
        /** Absent at a master of before. */
        readonly ban?: { readonly reason: string; readonly until: string | null } | null;
        readonly operations: readonly {
          readonly reservationId: string;
          readonly state: string;
          readonly clusterId: string | null;
          readonly recordedAtMs: number;
        }[];
      }
      const path = `/players/${encodeURIComponent(given.positionals[0] ?? "")}`;
      const player = await given.api().call<Player>("GET", path);
      show(given.json, player, () =>
        [
          `player       ${player.id}`,
          `generation   ${player.generation}`,
          `last joined  ${player.playing?.clusterId ?? "–"}`,
          ...(player.ban === undefined || player.ban === null
            ? []
            : [
                `banned       ${player.ban.until === null ? "for good" : `until ${formatTime(player.ban.until)}`}: ${player.ban.reason}`,
              ]),
          ...player.operations.map(
            ({ reservationId, state, clusterId, recordedAtMs }) =>
              `${formatTime(recordedAtMs)}  ${reservationId}  ${state.padEnd(10)}  ${clusterId ?? "–"}`,
          ),
        ].join("\n"),
      );
    },
  },
};

function print({ event, data }: EventBlock, json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ event, data }));
    return;
  }
  if (typeof data !== "object" || data === null) return;
  const {
    atMs,
    subject = "",
    data: details = {},
    text,
  }: { atMs?: unknown; subject?: unknown; data?: unknown; text?: unknown } = data;
  const when = formatTime(typeof atMs === "number" ? atMs : Date.now());
  show(false, data, () =>
    typeof text === "string"
      ? `${when}  ${event}  ${text}`
      : `${when}  ${event.padEnd(20)}  ${String(subject)}  ${JSON.stringify(details)}`,
  );
}
