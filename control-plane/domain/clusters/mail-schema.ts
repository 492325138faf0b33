import { z } from "zod";
import { type LinkTell, maxMailBytes } from "../../../protocol/index.ts";

const maxPayloadChars = Math.ceil(maxMailBytes / 3) * 4;

/** A cluster's message for a player elsewhere. */
export const linkTellSchema = z.strictObject({
  type: z.literal("tell"),
  id: z.int().min(0),
  playerId: z.string().min(1).max(64),
  command: z.int().min(0).max(255),
  payload: z
    .string()
    .max(maxPayloadChars)
    .regex(/^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/)
    .refine((payload) => byteCount(payload) <= maxMailBytes),
}) satisfies z.ZodType<LinkTell>;

function byteCount(base64: string): number {
  return (base64.length / 4) * 3 - (base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0);
}
