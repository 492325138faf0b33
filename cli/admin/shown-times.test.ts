import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Command } from "../command.ts";
import { playerCommands } from "./player-commands.ts";
import { signingKeyCommands } from "./signing-key-commands.ts";

const answers: Readonly<Record<string, object>> = {
  "/v1/admin/bans": {
    bans: [
      {
        playerId: "ann",
        reason: "cheating",
        until: "2035-01-31T00:00:00.000Z",
        bannedAt: "2026-11-27T10:22:55.123Z",
        liftedAt: null,
      },
      {
        playerId: "bob",
        reason: "spam",
        until: null,
        bannedAt: "2026-11-26T10:22:55.123Z",
        liftedAt: "2026-11-27T11:00:00.999Z",
      },
    ],
    next: null,
  },
  "/v1/admin/signing-keys": {
    keys: [
      {
        kid: "k1",
        state: "active",
        createdAt: "2026-11-27T10:22:55.123Z",
        activatedAt: "2026-11-27T11:22:55.456Z",
        retiredAt: null,
      },
    ],
    revoked: ["k0"],
  },
};

const server = createServer((request, response) => {
  response.end(JSON.stringify(answers[new URL(request.url ?? "", "http://master").pathname]));
});

beforeEach(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it listens at a port");
  vi.stubEnv("SUSTENET_MASTER", `http://127.0.0.1:${address.port}`);
  vi.stubEnv("SUSTENET_TOKEN", "a.b.c");
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  server.closeAllConnections();
  server.close();
});

async function printed(command: Command | undefined): Promise<readonly string[][]> {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await command?.run([]);
  const [[text] = []] = log.mock.calls;
  return String(text)
    .split("\n")
    .slice(1)
    .map((row) => row.split(/ {2,}/));
}

it("tables of bans have times as all other tables have", async () => {
  expect(await printed(playerCommands["bans"])).toEqual([
    ["ann", "cheating", "2026-11-27 10:22:55", "2035-01-31 00:00:00", "–"],
    ["bob", "spam", "2026-11-26 10:22:55", "for good", "2026-11-27 11:00:00"],
  ]);
});

it("tables of signing keys have them so too", async () => {
  expect(await printed(signingKeyCommands["signing-keys"])).toEqual([
    ["k1", "active", "2026-11-27 10:22:55", "2026-11-27 11:22:55", "–"],
    ["k0", "revoked", "–", "–", "–"],
  ]);
});
