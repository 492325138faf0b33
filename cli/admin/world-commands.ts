import type { Command } from "../command.ts";
import { parseAdminArguments } from "./arguments.ts";
import { show } from "./table.ts";
import { describeWorld, type World } from "./world-table.ts";

const where = "--master URL --token-file FILE [--json]";

/** Commands about worlds that several clusters share. */
export const worldCommands: Readonly<Record<string, Command>> = {
  world: {
    usage: `world WORLD ${where}`,
    does: "shows which cluster carries which fragment of a world, and which could take over",
    run: async (args) => {
      const given = parseAdminArguments(args, {}, 1);
      const [name = ""] = given.positionals;
      const world = await given.api().call<World>("GET", `/worlds/${encodeURIComponent(name)}`);
      show(given.json, world, () => describeWorld(world));
    },
  },
  assign: {
    usage: `assign WORLD FRAGMENT CLUSTER|none ${where}`,
    does: "decides which cluster carries a fragment; none leaves it to the rules again, which moves nothing by itself",
    run: async (args) => {
      const given = parseAdminArguments(args, {}, 3);
      const [name = "", fragment = "", cluster = ""] = given.positionals;
      const path = `/worlds/${encodeURIComponent(name)}/fragments/${encodeURIComponent(fragment)}`;
      const body = { clusterId: cluster === "none" ? null : cluster };
      const world = await given.api().call<World>("PUT", path, body);
      show(given.json, world, () => describeWorld(world));
    },
  },
};
