import { z } from "zod";
import type { FromSession, Save, ToSession } from "../../protocol/handover/messages.ts";
import type { Snapshot } from "../../protocol/handover/parties.ts";
import type { Streams } from "../../protocol/handover/streams.ts";
import type { SessionAnswer, SessionRequest } from "../authority/session-call.ts";

// How what clusters say to players' sessions, and hear, travels as JSON: states and messages are bytes here, and base64 on the wire.

const generation = z.int().min(0);
const count = z.int().min(0);
const playerId = z.string().min(1);
const body = z.base64();

const streams = z.object({
  tenure: generation,
  past: z.array(z.object({ tenure: generation, lastInput: count, lastOutput: count })),
  lastInput: count,
  lastOutput: count,
  unacknowledged: z.array(body),
});

export const fromSessionSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("enlisted"), id: z.string(), playerId }),
  z.object({ type: z.literal("enlistRefused"), id: z.string(), playerId }),
  z.object({ type: z.literal("committed"), id: z.string(), token: z.string() }),
  // A reason that a later master may have is none here.
  z.object({
    type: z.literal("commitRefused"),
    id: z.string(),
    reason: z.literal("tooLarge").optional().catch(undefined),
  }),
  z.object({ type: z.literal("aborted"), playerId, generation, newGeneration: generation }),
  z.object({ type: z.literal("superseded"), playerId, generation }),
  z.object({
    type: z.literal("entered"),
    playerId,
    generation,
    previousGeneration: generation,
    save: z.object({ generation, version: count, state: body, streams: streams.optional() }).optional(),
  }),
  z.object({ type: z.literal("saved"), playerId, generation, version: count }),
  z.object({ type: z.literal("saveLater"), playerId, generation }),
  z.object({ type: z.literal("settled"), playerId, generation }),
  z.object({ type: z.literal("fence"), playerId, generation }),
]) satisfies z.ZodType<FromSession<string>>;

const answersSchema = z.object({
  answers: z.array(
    z.object({
      playerId: z.string(),
      // Messages of a later master are passed over.
      messages: z.array(z.unknown()).transform((all) =>
        all.flatMap((one): FromSession<Uint8Array>[] => {
          const message = fromSessionSchema.safeParse(one).data;
          return message === undefined ? [] : [decodeFromSession(message)];
        }),
      ),
      failed: z.boolean().optional(),
    }),
  ),
}) satisfies z.ZodType<{ readonly answers: readonly SessionAnswer<Uint8Array>[] }>;

/** @throws Error when the master's answer is not one, or not one for each request */
export function parseSessionAnswers(
  value: unknown,
  requests: readonly SessionRequest<unknown>[],
): readonly SessionAnswer<Uint8Array>[] {
  const { data } = answersSchema.safeParse(value);
  const fits = data?.answers.every((answer, index) => answer.playerId === requests[index]?.playerId);
  if (data === undefined || data.answers.length !== requests.length || fits !== true) {
    throw new Error("the master's answers about players' sessions are not as expected");
  }
  return data.answers;
}

/** Makes a request ready for the wire. */
export function encodeSessionRequest({ playerId: to, message }: SessionRequest<Uint8Array>): SessionRequest<string> {
  return { playerId: to, message: encodeToSession(message) };
}

function encodeToSession(message: ToSession<Uint8Array>): ToSession<string> {
  switch (message.type) {
    case "save":
      return { ...message, state: encodeBody(message.state) };
    case "commit": {
      const members = message.members.map((member) => ({ ...member, snapshot: encodeSnapshot(member.snapshot) }));
      return { ...message, members };
    }
    case "enlist":
    case "abort":
    case "enter":
    case "joined":
      return message;
  }
}

/** Takes a message off the wire. */
export function decodeFromSession(message: FromSession<string>): FromSession<Uint8Array> {
  if (message.type !== "entered") return message;
  return { ...message, save: message.save === undefined ? undefined : decodeSave(message.save) };
}

function encodeSnapshot({ state, streams: sent }: Snapshot<Uint8Array>): Snapshot<string> {
  return { state: encodeBody(state), streams: mapStreams(sent, encodeBody) };
}

function decodeSave(save: Save<string>): Save<Uint8Array> {
  const { state, streams: kept } = save;
  return {
    ...save,
    state: decodeBody(state),
    streams: kept === undefined ? undefined : mapStreams(kept, decodeBody),
  };
}

function mapStreams<A, B>(of: Streams<A>, map: (body: A) => B): Streams<B> {
  return { ...of, unacknowledged: of.unacknowledged.map(map) };
}

function encodeBody(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function decodeBody(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
