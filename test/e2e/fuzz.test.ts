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
  expect(command.stderr.join("\n")).toContain("npm run fuzz -- frames|cluster");
});

it.each(["test/fuzz/run.ts", "test/simulation/run.ts"])(
  "%s explains itself, and names a flag that is none",
  async (file) => {
    const asked = startCommand(file, ["--help"]);
    expect(await asked.ended).toBe(0);
    expect(asked.stdout.join("\n")).toContain("--seed ");
    const mistyped = startCommand(file, ["--sed", "1"]);
    expect(await mistyped.ended).toBe(2);
    expect(mistyped.stderr[0]).toContain("--sed");
  },
);
