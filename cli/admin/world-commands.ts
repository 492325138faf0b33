import type { Command } from "../command.ts";
import { parseAdminArguments } from "./arguments.ts";
import { formatTable, show } from "./table.ts";

interface WorldMap {
  readonly fragments: readonly { readonly name: string; readonly clusterId: string }[];
}

/** Commands about worlds that several clusters share. */
export const worldCommands: Readonly<Record<string, Command>> = {
  assign: {
    usage: "assign WORLD FRAGMENT CLUSTER|none --master URL --token-file FILE [--json]",
    does: "decides which cluster carries a fragment; none leaves it to the rules again, which moves nothing by itself",
    run: async (args) => {
      const given = parseAdminArguments(args, {}, 3);
      const [world = "", fragment = "", cluster = ""] = given.positionals;
      const path = `/worlds/${encodeURIComponent(world)}/fragments/${encodeURIComponent(fragment)}`;
      const body = { clusterId: cluster === "none" ? null : cluster };
      const map = await given.api().call<WorldMap>("PUT", path, body);
      show(given.json, map, () => mapTable(map));
    },
  },
};

function mapTable({ fragments }: WorldMap): string {
  if (fragments.length === 0) return "nobody carries anything of this world";
  return formatTable(
    ["FRAGMENT", "CLUSTER"],
    fragments.map(({ name, clusterId }) => [name, clusterId]),
  );
}
