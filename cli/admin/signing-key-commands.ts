import type { Command } from "../command.ts";
import { parseAdminArguments } from "./arguments.ts";
import { formatTable, show } from "./table.ts";

interface Ring {
  readonly keys: readonly {
    readonly kid: string;
    readonly state: string;
    readonly createdAt: string;
    readonly activatedAt: string | null;
    readonly retiredAt: string | null;
  }[];
}

/** Commands about the keys that sign join tickets. */
export const signingKeyCommands: Readonly<Record<string, Command>> = {
  "signing-keys": {
    usage: "signing-keys [rotate] --master URL --token-file FILE [--json]",
    does: "lists the keys that sign join tickets; rotate lets the next one sign from now on, and refuses no ticket for it",
    run: async (args) => {
      const [first, ...rest] = args;
      if (first === "rotate") await rotate(rest);
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
      ring.keys.map(({ kid, state, createdAt, activatedAt, retiredAt }) => [
        kid,
        state,
        createdAt,
        activatedAt ?? "–",
        retiredAt ?? "–",
      ]),
    ),
  );
}

async function rotate(args: readonly string[]): Promise<void> {
  const given = parseAdminArguments(args, {}, 0);
  const answer = await given.api().call<{ readonly kid: string }>("POST", "/signing-keys/rotate");
  show(given.json, answer, () => `${answer.kid} signs from now on`);
}
