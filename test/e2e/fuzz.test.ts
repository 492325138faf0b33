import { expect, it } from "vitest";
import { startCommand } from "../support/command.ts";

it.each([
  ["frames", "2", 1_000],
  ["cluster", "5", 100],
])("[FRAME-6] fuzzing finds nothing in a short time: %s", async (target, seconds, least) => {
  const command = startCommand("test/fuzz/run.ts", [target, "--seconds", seconds, "--seed", "20261122"]);
  expect(await command.ended).toBe(0);
  const result: unknown = JSON.parse(command.stdout.at(-1) ?? "");
  expect(result).toMatchObject({ target, ok: true });
  expect(result).toHaveProperty(
    "frames",
    expect.toSatisfy((frames: number) => frames > least),
  );
});

it("[FRAME-6] fuzzing says how it is used", async () => {
  const command = startCommand("test/fuzz/run.ts", ["nothing"]);
  expect(await command.ended).toBe(2);
  expect(command.stderr.join("\n")).toContain("usage: npm run fuzz");
});
