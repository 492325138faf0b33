import type { Command } from "../command.ts";
import { parseAdminArguments } from "./arguments.ts";
import { formatTable, formatTime, show } from "./table.ts";

interface Ring {
  readonly keys: readonly {
    readonly kid: string;
    readonly state: string;
    readonly createdAt: string;
    readonly activatedAt: string | null;
    readonly retiredAt: string | null;
  }[];
  readonly revoked: readonly string[];
}

/** Commands about the keys that sign join tickets. */
export const signingKeyCommands: Readonly<Record<string, Command>> = {
  "signing-keys": {
    usage: "signing-keys [rotate | revoke KEY] --master URL --token-file FILE [--json]",
    does: "lists the keys that sign join tickets; rotate lets the next one sign from now on, and refuses no ticket for it; revoke ends one that has leaked, and refuses its tickets",
    run: async (args) => {
      const [first, ...rest] = args;
      if (first === "rotate") await rotate(rest);
      else if (first === "revoke") await revoke(rest);
      else await list(args);
    },
  },
};

async function list(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, {}, 0);
  const ring = await given.api().call<Ring>("GET", "/signing-keys");
  show(given.json, ring, () =>
    formatTable(
      ["KEY", "STATE", "MADE", "SIGNS SINCE", "RETIRED"],
      [
        ...ring.keys.map(({ kid, state, createdAt, activatedAt, retiredAt }) => [
          kid,
          state,
          formatTime(createdAt),
          formatTime(activatedAt),
          formatTime(retiredAt),
        ]),
        ...ring.revoked.map((kid) => [kid, "revoked", "–", "–", "–"]),
      ],
    ),
  );
}

async function rotate(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, {}, 0);
  const answer = await given.api().call<{ readonly kid: string }>("POST", "/signing-keys/rotate");
  show(given.json, answer, () => `${answer.kid} signs from now on`);
}

/** Names the key: the one that is active when the command is repeated may be another. */
async function revoke(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, {}, 1);
  const [kid] = given.positionals;
  const answer = await given.api().call<{ readonly kid: string }>("POST", "/signing-keys/revoke", { kid });
  show(given.json, answer, () => `revoked ${answer.kid}: its tickets that have not joined are refused`);
}
