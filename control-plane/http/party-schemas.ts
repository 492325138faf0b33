import { z } from "@hono/zod-openapi";
import { type CreateParty, type PartyHeld, partyStates, type PartyView } from "../../protocol/index.ts";
import { maxPartySize } from "../domain/parties/party.ts";
import { partyId } from "./allocation-schemas.ts";

const playerId = z.string().min(1).max(64).openapi({ example: "3f0c8a52-2f0e-4a63-9d3c-6c1f6a7f9a10" });
const code = z
  .string()
  .regex(/^[\w-]{16}$/, "Expected the code of a party.")
  .openapi({ description: "Whoever has it can join.", example: "qT1q2a5b6c7d8eQx" });
const seconds = z.number().openapi({ description: "Seconds since 1970.", example: 1_795_359_600 });

export const createPartySchema = z
  .strictObject({
    size: z.int().min(1).max(maxPartySize).optional().openapi({ description: "Most members.", example: 4 }),
  } satisfies Record<keyof CreateParty, z.ZodType>)
  .openapi("CreateParty") satisfies z.ZodType<CreateParty>;

export const joinPartySchema = z.strictObject({ code }).openapi("JoinParty");

export const partyParams = z.object({ id: partyId });
export const memberParams = z.object({ id: partyId, playerId });

export const partySchema = z
  .object({
    id: partyId,
    code,
    size: z.number(),
    state: z.enum(partyStates),
    leaderId: playerId,
    members: z
      .array(z.object({ playerId, displayName: z.string(), claimed: z.boolean() }))
      .readonly()
      .openapi({ description: "The leader comes first." }),
    hold: z.object({ clusterId: z.string(), expiresAt: seconds }).optional(),
    expiresAt: seconds,
  } satisfies Record<keyof PartyView, z.ZodType>)
  .openapi("Party") satisfies z.ZodType<PartyView>;

export const partyHeldSchema = z
  .object({
    status: z.literal("held"),
    cluster: z.object({ id: z.string(), name: z.string() }),
    expiresAt: seconds,
    members: z.array(playerId).readonly(),
  } satisfies Record<keyof PartyHeld, z.ZodType>)
  .openapi("PartyHeld") satisfies z.ZodType<PartyHeld>;
