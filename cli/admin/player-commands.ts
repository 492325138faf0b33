import type { Command } from "../command.ts";
import { UsageError } from "../usage-error.ts";
import { type AdminArguments, type Options, parseAdminArguments } from "./arguments.ts";
import { everyPage } from "./pages.ts";
import { isPlayerId } from "./player-id.ts";
import { formatTable, formatTime, show } from "./table.ts";

interface Ban {
  readonly playerId: string;
  readonly reason: string;
  readonly until: string | null;
  readonly bannedAt: string;
  readonly liftedAt: string | null;
}

const where = "--master URL --token-file FILE [--json]";
const banOptions: Options = { reason: { type: "string" }, until: { type: "string" }, note: { type: "string" } };

/** Commands that end what players do. */
export const playerCommands: Readonly<Record<string, Command>> = {
  ban: {
    usage: `ban PLAYER --reason CODE [--until TIME] [--note TEXT] ${where}`,
    does: "ends a player's sessions and tickets, and refuses new ones; CODE as cheating, which the player is told, TIME as 2030-01-31T00:00:00Z, for good without",
    run: async (args) => {
      const given = parseAdminArguments(args, banOptions, 1);
      const [reason, until, note] = [given.text("reason"), given.text("until"), given.text("note")];
      if (reason === undefined) throw new UsageError("ban needs --reason");
      const body = { reason, ...(until === undefined ? {} : { until }), ...(note === undefined ? {} : { note }) };
      interface Banned {
        readonly until: string | null;
      }
      const banned = await given.api().order<Banned>("POST", `${pathOf(given)}/ban`, body);
      show(
        given.json,
        banned,
        () => `banned ${banned.until === null ? "for good" : `until ${formatTime(banned.until)}`}`,
      );
    },
  },
  unban: ending("unban", "DELETE", "ban", "ends a ban before its time", "no longer banned"),
  kick: ending("kick", "POST", "kick", "ends a player's sessions and tickets; it may come back", "kicked"),
  "sign-out": ending("sign-out", "POST", "sign-out", "ends every login of a player as well", "signed out everywhere"),
  bans: {
    usage: `bans [--player PLAYER] [--in-force] ${where}`,
    does: "lists the bans, the newest first",
    run: async (args) => {
      const given = parseAdminArguments(args, { player: { type: "string" }, "in-force": { type: "boolean" } }, 0);
      const query = { playerId: given.text("player"), inForce: String(given.flag("in-force")), limit: "500" };
      const bans: Ban[] = [];
      const pages = everyPage<{ bans: Ban[]; next: string | null }>(given.api(), "/bans", query);
      for await (const page of pages) bans.push(...page.bans);
      const headings = ["PLAYER", "REASON", "SINCE", "UNTIL", "LIFTED"];
      show(given.json, bans, () =>
        formatTable(
          headings,
          bans.map((ban) => [
            ban.playerId,
            ban.reason,
            formatTime(ban.bannedAt),
            formatTime(ban.until, "for good"),
            formatTime(ban.liftedAt),
          ]),
        ),
      );
    },
  },
};

function ending(name: string, method: "POST" | "DELETE", path: string, does: string, done: string): Command {
  return {
    usage: `${name} PLAYER ${where}`,
    does,
    run: async (args) => {
      const given = parseAdminArguments(args, {}, 1);
      await given.api().order(method, `${pathOf(given)}/${path}`);
      show(given.json, { done: true }, () => done);
    },
  };
}

function pathOf(given: AdminArguments): string {
  const id = given.positionals[0] ?? "";
  // Not refused: the master takes other ids as well, and a ban may come before the first login.
  if (!isPlayerId(id)) console.error("this is no UUID, as players' ids are: check it, as nobody may have this id");
  return `/players/${encodeURIComponent(id)}`;
}
