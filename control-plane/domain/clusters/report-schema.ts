import { z } from "zod";
import {
  type LinkReport,
  type LinkTell,
  maxReportSeats,
  maxReservationIdLength,
  type SeatRef,
} from "../../../protocol/index.ts";
import { linkTellSchema } from "./mail-schema.ts";
import { maxSeatsPerCluster } from "./seats.ts";
import { maxFacts } from "../allocation/selector.ts";

const seatRefSchema = z.strictObject({
  reservationId: z.string().min(1).max(maxReservationIdLength),
  playerId: z.string().min(1).max(64),
  generation: z.int().min(1),
}) satisfies z.ZodType<SeatRef>;

/** Names of labels and counters; without quotation marks, so that they fit into a path of SQL. */
export const factName = z.string().regex(/^[\w./-]{1,64}$/, 'Expected 1 to 64 letters, digits, "_", ".", "/" and "-".');

/** Counters of a cluster. */
export const countersSchema = z
  .record(factName, z.number())
  .refine((counters) => Object.keys(counters).length <= maxFacts, `Expected at most ${maxFacts}.`);

/** Parts of the longest full report, with room for those that changes have filled. */
const maxReportParts = (2 * maxSeatsPerCluster) / maxReportSeats;

/** A cluster's report, from the link or from a heartbeat. */
export const linkReportSchema = z.strictObject({
  type: z.literal("report"),
  sequence: z.int().min(1),
  full: z.boolean(),
  part: z.strictObject({ of: z.int().min(1), index: z.int().min(0).max(maxReportParts), last: z.boolean() }).optional(),
  players: z.int().min(0).max(1_000_000),
  joined: z.array(seatRefSchema).max(maxReportSeats),
  left: z.array(seatRefSchema).max(maxReportSeats),
  cancelled: z.array(seatRefSchema).max(maxReportSeats).optional(),
  tickMs: z.number().min(0).max(60_000).optional(),
  counters: countersSchema.optional(),
  ordersVersion: z.int().min(0).optional(),
  revocations: z.int().min(0).optional(),
  keys: z.int().min(0).optional(),
}) satisfies z.ZodType<LinkReport>;

/** The longest report, in characters of JSON. Fits the greatest number of seats; stops a cluster from filling the object. */
export const maxReportChars = 512 * 1_024;

/** A cluster's message over the link: a report, or one for a player elsewhere. */
const linkMessageSchema = z.discriminatedUnion("type", [linkReportSchema, linkTellSchema]);

/** What came over the link in `text`, or what is wrong with it, in words that repeat nothing of it: fit for the log. */
export function parseLinkMessage(text: string): LinkReport | LinkTell | { readonly fault: string } {
  if (text.length > maxReportChars) return { fault: `longer than ${maxReportChars} characters` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: "not valid JSON" };
  }
  const result = linkMessageSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  return { fault: issue === undefined ? "no message" : `${issue.path.join(".") || "message"}: ${issue.code}` };
}
