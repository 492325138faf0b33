import { describe, expect, it } from "vitest";
import { chooseStart, isOwnEntry } from "./entry.ts";
import { stepsPerSession } from "./generation.ts";
import type { FromSession, HeldItem, Save } from "./messages.ts";
import { beginHandover } from "./source.ts";
import { type SourcePhase, type SourceState, withMember } from "./source-state.ts";
import { openStreams } from "./streams.ts";

const generation = stepsPerSession;
const ticket = 2 * stepsPerSession;
const held: HeldItem<string> = { kind: "output", body: "made after the freeze" };
const snapshotSave: Save<string> = {
  generation: generation + 1,
  version: 0,
  state: "as it stood",
  streams: { ...openStreams(generation), lastInput: 5 },
};

function entered(previousGeneration: number, save?: Save<string>): Extract<FromSession<string>, { type: "entered" }> {
  return { type: "entered", playerId: "p", generation: ticket, previousGeneration, save };
}

function handover(phase: SourcePhase): SourceState<string> {
  const candidate = { playerId: "p", generation, key: "k", clientHere: true };
  const { state } = beginHandover<string>("h", { clusterId: "B", boot: 1 }, [candidate]);
  return withMember({ ...state, phase }, "p", (member) => ({ ...member, held: [held] }));
}

describe("a player who enters with a ticket", () => {
  it("[HAND-10] goes on from the copy here when nobody had authority after it", () => {
    expect(chooseStart(entered(generation, snapshotSave), generation, undefined)).toEqual({ from: "copy" });
    expect(chooseStart(entered(generation + 1, snapshotSave), generation, undefined).from).toBe("save");
    expect(chooseStart(entered(0), undefined, undefined)).toEqual({ from: "nothing" });
  });

  it("[HAND-10] goes on from a copy in doubt, whichever of its outcomes PlayerSession has", () => {
    for (const previous of [generation, generation + 1, generation + 2]) {
      expect(chooseStart(entered(previous, snapshotSave), generation, handover("doubt"))).toEqual({ from: "copy" });
    }
    expect(chooseStart(entered(generation + 3, snapshotSave), generation, handover("doubt")).from).toBe("save");
  });

  it("[HAND-10] is given what this cluster still holds for it, if nobody has gone on from its snapshot", () => {
    const start = chooseStart(entered(generation + 1, snapshotSave), undefined, handover("released"));
    expect(start).toMatchObject({
      from: "save",
      snapshot: { state: "as it stood", streams: { tenure: ticket, past: [{ tenure: generation, lastInput: 5 }] } },
      items: [held],
    });
    const later = { ...snapshotSave, version: 1, streams: undefined };
    expect(chooseStart(entered(generation + 1, later), undefined, handover("released"))).toMatchObject({ items: [] });
    const taken = { ...handover("released"), activated: true };
    expect(chooseStart(entered(generation + 1, snapshotSave), undefined, taken)).toMatchObject({ items: [] });
  });

  it("[HAND-10] starts new streams after a save that has none", () => {
    const later = { ...snapshotSave, version: 1, streams: undefined };
    const start = chooseStart(entered(generation + 1, later), undefined, undefined);
    expect(start).toMatchObject({ snapshot: { streams: openStreams(ticket) } });
  });

  it("[HAND-10] is not thrown out by word of its own entry", () => {
    expect(isOwnEntry({ type: "fence", playerId: "p", generation: ticket }, ticket)).toBe(true);
    expect(isOwnEntry({ type: "fence", playerId: "p", generation: 2 * ticket }, ticket)).toBe(false);
    expect(isOwnEntry({ type: "superseded", playerId: "p", generation }, ticket)).toBe(true);
    expect(isOwnEntry({ type: "superseded", playerId: "p", generation: ticket }, ticket)).toBe(false);
    expect(isOwnEntry({ type: "fence", playerId: "p", generation: ticket }, undefined)).toBe(false);
  });
});
