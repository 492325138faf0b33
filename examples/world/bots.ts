/** Bots that wander over the borders of the example's world: `node examples/world/bots.ts [--master URL] [--count N] [--seconds S]`. */
import { parseArgs } from "node:util";
import { createClient, type GameSession } from "../../clients/typescript/index.ts";
import { Wanderer } from "./wanderer.ts";

const stepsPerSecond = 20;

const { values } = parseArgs({
  options: {
    master: { type: "string", default: "http://127.0.0.1:6256" },
    count: { type: "string", default: "10" },
    seconds: { type: "string", default: "30" },
  },
});

let crossings = 0;
/** Bots that went on at another cluster, and how long the longest of them heard nothing meanwhile. */
let handovers = 0;
let longestGapMs = 0;
/** Bots that could not go on where they were, and had to join anew. */
let rejoined = 0;
const sessions = await Promise.all(Array.from({ length: Number(values.count) }, () => join()));
const endMs = performance.now() + Number(values.seconds) * 1_000;
const report = setInterval(() => {
  const seen = sessions.map(({ world }) => world.size);
  const moved = `${handovers} handovers (longest gap ${Math.round(longestGapMs)} ms), ${rejoined} rejoined`;
  console.log(`${crossings} crossings, ${moved}; a bot sees ${Math.min(...seen)} to ${Math.max(...seen)} entities`);
}, 1_000);
while (performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 100));
clearInterval(report);
for (const session of sessions) await session.leave();

/** A bot in the game, which walks until it leaves. */
async function join(): Promise<GameSession> {
  const client = createClient({ masterUrl: values.master });
  await client.login({ anonymous: true, displayName: "Bot" });
  const session = await client.join();
  const wanderer = new Wanderer();
  let fragment = session.world.fragment?.name;
  session.world.on("fragment", ({ name }) => {
    if (fragment !== undefined && name !== fragment) crossings += 1;
    fragment = name;
  });
  session.on("moved", ({ gapMs }) => {
    handovers += 1;
    longestGapMs = Math.max(longestGapMs, gapMs);
  });
  session.on("rejoined", () => (rejoined += 1));
  const timer = setInterval(
    () => session.move(wanderer.step(session.position, 1 / stepsPerSecond)),
    1_000 / stepsPerSecond,
  );
  void session.closed.then(() => clearInterval(timer));
  return session;
}
