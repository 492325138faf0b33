/** The world of a cluster that runs as a process of its own: refused when it is wrong, and laid out anew while it runs. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ProgramRunner } from "./testing/program-runner.ts";
import { until } from "./testing/until.ts";
import { ViewClient } from "./world/testing/view-client.ts";

let runner: ProgramRunner;
let client: ViewClient | undefined;
beforeEach(async () => {
  runner = await ProgramRunner.create();
});
afterEach(async () => {
  client?.leave();
  await runner.remove();
});

const fragment = (name: string, from: number, to: number, ...more: string[]): string =>
  ["[[fragment]]", `name = "${name}"`, `min = [${from}, -50]`, `max = [${to}, 50]`, ...more, ""].join("\n");

it("ends with 2 on fragments that overlap, with both lines", async () => {
  const made = await runner.run(`${runner.config()}${fragment("west", -50, 1)}${fragment("east", 0, 50)}`);
  expect(await runner.ended(made)).toBe(2);
  expect(made.err).toBe(
    'Config.toml:10: fragment[1]: "east" (fragment[1]) overlaps "west" (fragment[0] in line 6) from [0, -50] to [1, 50]\n',
  );
});

it("ends with 1 when a plugin has kinds of entity that cannot be, and says why", async () => {
  await runner.enrol();
  const program = await runner.write('{ entities: { player: { number: "u8" } } }');
  const made = await runner.run(runner.config(), { program });
  expect(await runner.ended(made)).toBe(1);
  expect(made.out).toContain("kind 0, field 2: a name that another field has");
});

it("takes over a changed file on SIGHUP while players play, and keeps the old world when the new one is wrong", async () => {
  await runner.enrol();
  const program = await runner.write("{}");
  const before = `${runner.config()}${fragment("land", -50, 50)}`;
  const made = await runner.run(before, { program });
  await runner.event(made, "ready");
  client = new ViewClient(runner.target(), () => undefined);
  client.join(await runner.master.ticket());
  await until("the fragment", () => client?.fragments.at(-1)?.name === "land");
  const file = join(runner.folder, "Config.toml");
  await writeFile(file, `${runner.config()}${fragment("west", -50, 1)}${fragment("east", 0, 50)}`);
  made.child.kill("SIGHUP");
  await until("the refusal", () => made.out.includes("kept the old world"));
  const halves = `${fragment("west", -50, 0)}${fragment("east", 0, 50, "view_range = 7")}`;
  // With this no cluster would start: it must not run with the half of it until then.
  await writeFile(file, `${runner.config()}tick_hz = 500\n${halves}`);
  made.child.kill("SIGHUP");
  await until("the word about the file", () => /config-refused|config-changed/.test(made.out));
  expect(made.out).toContain(
    "nothing of the file was taken over: Config.toml:6: [cluster] tick_hz: expected a whole number",
  );
  expect(client.fragments.map(({ name }) => name)).toEqual(["land"]);
  await writeFile(file, `${runner.config()}${halves}`);
  made.child.kill("SIGHUP");
  await until("the new fragment", () => client?.fragments.at(-1)?.name === "east");
  expect(client.fragments.at(-1)?.viewRange).toBe(7);
  expect(client.closed).toBeUndefined();
  made.child.kill("SIGTERM");
  expect(await runner.ended(made)).toBe(0);
});
