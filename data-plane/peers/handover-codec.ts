import { z } from "zod";
import { handoverTokenKind } from "../../auth/handover-token.ts";
import { maxStateLength, maxStreamLength, maxUnacknowledgedFrames } from "../../protocol/handover/commit-length.ts";
import type { HeldItem, ToDestination, ToSource } from "../../protocol/handover/messages.ts";
import { type MemberRef, maxMembers, type Snapshot } from "../../protocol/handover/parties.ts";
import { maxPastTenures } from "../../protocol/handover/streams.ts";
import { decodeUtf8 } from "../../protocol/index.ts";

/** What two clusters say to each other about handovers. Bodies are bytes here, and base64 on the link. */
export type PeerMessage = ToDestination<Uint8Array> | ToSource;

/** What came is no message of a handover: the link has to end. */
export class PeerMessageError extends Error {
  override readonly name = "PeerMessageError";
}

const body = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/)
    .transform((text): Uint8Array => Buffer.from(text, "base64"));
const count = z.int().min(0);
const number = z.int().min(1);
const id = z.string().regex(/^[\w-]{16,64}$/);
const playerId = z.string().min(1).max(128);

const streams = z.strictObject({
  tenure: count,
  past: z.array(z.strictObject({ tenure: count, lastInput: count, lastOutput: count })).max(maxPastTenures),
  lastInput: count,
  lastOutput: count,
  unacknowledged: z
    .array(z.string().max(maxStreamLength))
    .max(maxUnacknowledgedFrames)
    .refine((bodies) => bodies.reduce((sum, text) => sum + text.length, 0) <= maxStreamLength)
    .pipe(z.array(body(maxStreamLength))),
});
const snapshot = z.strictObject({ state: body(maxStateLength), streams });
const member = z.strictObject({ playerId, generation: count });
const transfer = member.extend({ key: id, snapshot });
const held = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("input"), sequence: number, body: body(maxStreamLength) }),
  z.strictObject({ kind: z.literal("output"), body: body(maxStreamLength) }),
  z.strictObject({ kind: z.literal("leave") }),
]);

const messageSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("prepare"), id, members: group(member) }),
  z.strictObject({ type: z.literal("transfer"), id, members: group(transfer) }),
  z.strictObject({ type: z.literal("commit"), id, token: z.string().min(1).max(handoverTokenKind.maxBytes) }),
  z.strictObject({ type: z.literal("forward"), id, playerId, index: number, item: held }),
  z.strictObject({ type: z.literal("abort"), id }),
  z.strictObject({ type: z.literal("finished"), id }),
  z.strictObject({ type: z.literal("prepared"), id }),
  z.strictObject({ type: z.literal("ready"), id }),
  z.strictObject({ type: z.literal("activated"), id, superseded: z.array(playerId).max(maxMembers) }),
  z.strictObject({ type: z.literal("forwarded"), id, playerId, index: number }),
  z.strictObject({ type: z.literal("refused"), id, reason: z.enum(["unknown", "full", "invalid"]) }),
]) satisfies z.ZodType<PeerMessage>;

/** The body of a handover frame; how long it may be is up to the link. */
export function encodePeerMessage(message: PeerMessage): Uint8Array {
  return Buffer.from(JSON.stringify(written(message)));
}

/**
 * Reads the body of a handover frame. Nothing is passed over: what this version does not know is no message.
 *
 * @throws PeerMessageError without a word of what came
 */
export function decodePeerMessage(bytes: Uint8Array): PeerMessage {
  const parsed = messageSchema.safeParse(parseJson(bytes));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new PeerMessageError(`a handover message is not as expected at ${issue?.path.slice(0, 4).join(".") ?? ""}`);
}

function group<T extends z.ZodType<MemberRef>>(one: T) {
  return z
    .array(one)
    .min(1)
    .max(maxMembers)
    .refine((members) => new Set(members.map((each) => each.playerId)).size === members.length);
}

function written(message: PeerMessage): object {
  if (message.type === "transfer") {
    return { ...message, members: message.members.map((one) => ({ ...one, snapshot: writtenSnapshot(one.snapshot) })) };
  }
  return message.type === "forward" ? { ...message, item: writtenItem(message.item) } : message;
}

function writtenSnapshot({ state, streams: { unacknowledged, ...numbers } }: Snapshot<Uint8Array>): object {
  return { state: base64(state), streams: { ...numbers, unacknowledged: unacknowledged.map(base64) } };
}

function writtenItem(item: HeldItem<Uint8Array>): object {
  return item.kind === "leave" ? item : { ...item, body: base64(item.body) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes));
  } catch {
    throw new PeerMessageError("a handover message is no JSON");
  }
}
