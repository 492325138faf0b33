import { z } from "@hono/zod-openapi";
import type { OAuthStarted, Upgraded } from "../../protocol/index.ts";
import { displayName, email, password, playerIdentitySchema } from "./schemas.ts";

/* What crosses HTTP about accounts beyond passwords: other ways to log in, upgrades, exports. */

/** A token of another service, in printable characters. */
const token = z
  .string()
  .regex(/^[\x21-\x7e]{1,8192}$/, "Expected 1 to 8,192 printable ASCII characters.")
  .openapi({ example: "14000000deadbeef" });

export const loginSchema = z
  .union([
    z.strictObject({ email, password }),
    z.strictObject({ anonymous: z.literal(true), displayName: displayName.optional() }),
    z.strictObject({
      provider: z.literal("supabase"),
      token: token.openapi({ description: "An access token that Supabase gave to the client." }),
      refreshToken: z
        .string()
        .min(1)
        .max(1_024)
        .optional()
        .openapi({ description: "Comes back in the answer; without one, that of the answer is empty." }),
    }),
    z.strictObject({
      provider: z.enum(["steam", "epic"]),
      token: token.openapi({
        description: "Steam: a ticket of GetAuthTicketForWebApi, hexadecimal. Epic: an ID token.",
      }),
      displayName: displayName.optional().openapi({ description: "For an account that is made by this login." }),
    }),
  ])
  .openapi("Login");

export const oauthStartSchema = z
  .strictObject({
    provider: z
      .string()
      .regex(/^[\w:.-]{1,80}$/, "Expected the name of a provider.")
      .openapi({ example: "discord", description: "As Supabase names it." }),
    redirectTo: z
      .string()
      .max(2_048)
      .refine((address) => URL.canParse(address), "Expected an address.")
      .openapi({ example: "http://127.0.0.1:49152/callback", description: "One of the master's list." }),
  })
  .openapi("OAuthStart");

export const oauthStartedSchema = z
  .object({
    url: z.string().openapi({ description: "To be opened in the player's browser." }),
    codeVerifier: z.string().openapi({ description: "RFC 7636. Secret: keep it until the browser comes back." }),
  })
  .openapi("OAuthStarted") satisfies z.ZodType<OAuthStarted>;

export const oauthFinishSchema = z
  .strictObject({
    code: z.string().regex(/^[\w.~-]{1,512}$/, "Expected the code that redirectTo was called with."),
    codeVerifier: z.string().regex(/^[\w.~-]{43,128}$/, "Expected the codeVerifier of the start."),
  })
  .openapi("OAuthFinish");

export const upgradeSchema = z
  .strictObject({ email, password, displayName: displayName.optional() })
  .openapi("Upgrade");

export const upgradedSchema = z
  .object({ status: z.literal("upgraded"), player: playerIdentitySchema })
  .openapi("Upgraded") satisfies z.ZodType<Upgraded>;

const facts = z.record(z.string(), z.unknown());
const time = z.string().openapi({ example: "2026-11-22T13:37:00.000Z" });

export const exportSchema = z
  .object({
    exportedAt: time,
    account: z.object({
      player: playerIdentitySchema,
      createdAt: time.nullable(),
      lastLoginAt: time.nullable(),
      identities: z.array(z.object({ provider: z.string(), data: facts })),
      userMetadata: facts,
      appMetadata: facts,
    }),
    record: z.object({ displayName: z.string(), firstSeenAt: time, lastSeenAt: time }).nullable(),
    history: z
      .array(
        z.object({
          reservationId: z.string(),
          clusterId: z.string(),
          clusterName: z.string(),
          region: z.string(),
          outcome: z.enum(["joined", "left", "unused", "open"]),
          allocatedAt: time,
          joinedAt: time.nullable(),
          leftAt: time.nullable(),
        }),
      )
      .openapi({ description: "Seats that the player was given, the newest first; at most 10,000." }),
    save: z
      .object({ generation: z.number(), version: z.number(), state: z.string(), savedAt: time })
      .nullable()
      .openapi({ description: "What the game has saved of the player, in base64; what is in it is the game's." }),
    session: z.object({
      allocations: z.array(
        z.object({
          reservationId: z.string(),
          state: z.string(),
          clusterId: z.string().nullable(),
          requestedAt: time,
          expiresAt: time.nullable(),
        }),
      ),
      playingOn: z
        .string()
        .nullable()
        .openapi({ description: "Where the player last joined; it may have left since." }),
      party: z.string().nullable(),
      ban: z.object({ reason: z.string(), since: time, until: time.nullable() }).nullable(),
    }),
    bans: z
      .array(z.object({ reason: z.string(), bannedAt: time, until: time.nullable(), liftedAt: time.nullable() }))
      .openapi({ description: "All that are on record, the newest first; at most 1,000." }),
  })
  .openapi("PlayerExport");
