import { describe, expect, it } from "vitest";
import { stepsPerSession } from "../../protocol/handover/generation.ts";
import type { RefusalReason } from "../../protocol/handover/messages.ts";
import type { Snapshot } from "../../protocol/handover/parties.ts";
import { beginHandover, stepSource } from "../../protocol/handover/source.ts";
import type { SourceEvent } from "../../protocol/handover/source-state.ts";
import { openStreams } from "../../protocol/handover/streams.ts";
import { teleportOutcome } from "./teleport-outcome.ts";

type Event = SourceEvent<string>;

const generation = stepsPerSession;
const id = "h";
const snapshot: Snapshot<string> = { state: "teleported", streams: openStreams(generation) };
const prepared: Event = { type: "destination", message: { type: "prepared", id } };
const frozen: Event = { type: "frozen", snapshots: { p: snapshot, q: snapshot } };
const ready: Event = { type: "destination", message: { type: "ready", id } };
const committed: Event = { type: "session", message: { type: "committed", id, token: "token" } };
const activated: Event = { type: "destination", message: { type: "activated", id, superseded: [] } };
const timeout: Event = { type: "timeout" };
const down: Event = { type: "linkDown" };
const refused = (reason: RefusalReason): Event => ({ type: "destination", message: { type: "refused", id, reason } });
const fenced: Event = { type: "session", message: { type: "fence", playerId: "p", generation: 2 * generation } };
const aborted: Event = {
  type: "session",
  message: { type: "aborted", playerId: "p", generation, newGeneration: generation + 2 },
};
const untilCommitting = [prepared, frozen, ready] as const;
const untilReleased = [...untilCommitting, committed] as const;

/** What the game is told in the course of these events, and whether the player then stands still. */
function told(players: readonly string[], ...events: readonly Event[]): readonly (string | undefined)[] {
  const candidates = players.map((playerId) => ({ playerId, generation, key: "k", clientHere: true }));
  let { state } = beginHandover<string>(id, { clusterId: "B", boot: 4 }, candidates);
  return events.flatMap((event) => {
    const before = state;
    ({ state } = stepSource(before, event));
    return teleportOutcome({ before, event, after: state }, "p") ?? [];
  });
}

describe("what a game is told of a teleport", () => {
  it.each<[string, readonly Event[]]>([
    ["full", [refused("full")]],
    ["full", [prepared, frozen, refused("full")]],
    ["refused", [refused("invalid")]],
    ["refused", [prepared, { type: "frozen", snapshots: {} }]],
    ["unreachable", [refused("unknown")]],
    ["unreachable", [down]],
    ["unreachable", [timeout]],
    ["unreachable", [prepared, frozen, down]],
    ["unreachable", [prepared, frozen, { type: "cancel" }]],
    ["unreachable", [...untilCommitting, timeout]],
    ["unreachable", [...untilCommitting, { type: "session", message: { type: "commitRefused", id } }]],
    ["refused", [...untilCommitting, { type: "session", message: { type: "commitRefused", id, reason: "tooLarge" } }]],
    ["unreachable", [...untilCommitting, down, committed]],
    ["unreachable", [...untilReleased, { type: "linkUp", boot: 5 }, refused("unknown"), aborted]],
    ["left", [fenced]],
    ["left", [...untilCommitting, fenced]],
    ["handed-over", [...untilReleased, activated]],
    ["handed-over", [...untilReleased, { type: "abandon" }]],
  ])("[HAND-19] is %s, once, when its handover comes to that", (outcome, events) => {
    expect(told(["p"], ...events)).toEqual([outcome]);
  });

  it("[HAND-19] is nothing while it stands still: not at the release, nor while a destination that has died may have played it", () => {
    expect(told(["p"], ...untilReleased, { type: "linkUp", boot: 5 }, refused("unknown"))).toEqual([]);
  });

  it("[HAND-19] is told when it plays on in doubt, and not put off until the master is back", () => {
    expect(told(["p"], ...untilCommitting, timeout)).toEqual(["unreachable"]);
  });

  it("[HAND-11] is of a group that each of them plays on", () => {
    const enlisted: Event = { type: "session", message: { type: "enlisted", id, playerId: "q" } };
    expect(told(["q", "p"], prepared, refused("full"))).toEqual(["full"]);
    expect(told(["p", "q"], prepared, enlisted, frozen, ready, committed, activated)).toEqual(["handed-over"]);
  });
});
