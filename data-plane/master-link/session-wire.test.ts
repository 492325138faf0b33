import { expect, it } from "vitest";
import { decodeFromSession, encodeSessionRequest, parseSessionAnswers } from "./session-wire.ts";

const state = Uint8Array.of(0, 255);
const frame = Uint8Array.of(1, 2, 3);
const streams = { tenure: 1, past: [], lastInput: 4, lastOutput: 5 };
const entered = { type: "entered", playerId: "p", generation: 2, previousGeneration: 1 } as const;

it("carries states and messages as base64, and gives them back as bytes", () => {
  const save = { type: "save", generation: 1, version: 1, state } as const;
  expect(encodeSessionRequest({ playerId: "p", message: save })).toEqual({
    playerId: "p",
    message: { ...save, state: "AP8=" },
  });
  const kept = { generation: 1, version: 1, state: "AP8=", streams: { ...streams, unacknowledged: ["AQID"] } };
  expect(decodeFromSession({ ...entered, save: kept })).toEqual({
    ...entered,
    save: { generation: 1, version: 1, state, streams: { ...streams, unacknowledged: [frame] } },
  });
});

it("carries each member of a commit", () => {
  const member = {
    playerId: "p",
    generation: 1,
    snapshot: { state, streams: { ...streams, unacknowledged: [frame] } },
  };
  const message = { type: "commit", id: "h", destination: { clusterId: "b", boot: 1 }, members: [member] } as const;
  expect(encodeSessionRequest({ playerId: "p", message }).message).toMatchObject({
    members: [{ playerId: "p", snapshot: { state: "AP8=", streams: { unacknowledged: ["AQID"] } } }],
  });
});

it("takes answers only where there is one for each request, and passes over messages that it does not know", () => {
  const requests = [{ playerId: "p", message: { type: "enter", generation: 2 } as const }];
  const answers = [{ playerId: "p", messages: [entered, { type: "of a later master" }] }];
  expect(parseSessionAnswers({ answers }, requests)).toEqual([{ playerId: "p", messages: [{ ...entered }] }]);
  expect(() => parseSessionAnswers({ answers: [] }, requests)).toThrow("not as expected");
  expect(() => parseSessionAnswers({ answers: [{ playerId: "q", messages: [] }] }, requests)).toThrow(
    "not as expected",
  );
  expect(() => parseSessionAnswers(undefined, requests)).toThrow("not as expected");
});
