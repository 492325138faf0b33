import { z } from "@hono/zod-openapi";
import { toBase64Url } from "../../domain/clusters/sharding.ts";
import { tagKey } from "../../objects/key/tag-key.ts";
import { ProblemError } from "../problem.ts";

/** Query fields of every list under `/v1/admin`. */
export const pagingFields = {
  cursor: z.string().min(1).max(1_024).optional().openapi({ description: "`next` of the page before." }),
  limit: z.coerce.number().int().min(1).max(500).default(100).openapi({ example: 100 }),
};

/** Where the next page begins, to be sent as `cursor` with the same filters. `null` on the last page. */
export const nextSchema = z.string().nullable().openapi({
  description: "Send it as `cursor`, with the same filters, for the next page. `null` on the last one.",
});

const tagBytes = 16;
const cursorPattern = /^([\w-]{1,900})\.([\w-]{22})$/;

/**
 * A cursor: a position in a list, and a tag that says that this master made it for this list with these filters. What is in one
 * is never a caller's own word. [SEC-48]
 *
 * @param list names the list and its filters
 */
export async function createCursor(env: object, list: string, position: unknown): Promise<string> {
  const encoded = toBase64Url(new TextEncoder().encode(JSON.stringify(position)));
  return `${encoded}.${toBase64Url(await tagOf(env, list, encoded))}`;
}

/** The position in a cursor; `undefined` without one. @throws ProblemError `INVALID_FIELD` */
export async function readCursor<T>(
  env: object,
  list: string,
  cursor: string | undefined,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  if (cursor === undefined) return undefined;
  const [, encoded = "", tag = ""] = cursorPattern.exec(cursor) ?? [];
  const expected = toBase64Url(await tagOf(env, list, encoded));
  const isOurs = encoded !== "" && tag.length === expected.length && equal(tag, expected);
  if (!isOurs) throw invalidCursor();
  const bytes = Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
  if (!parsed.success) throw invalidCursor();
  return parsed.data;
}

function invalidCursor(): ProblemError {
  const message = "Expected `next` of the page before, of the same list with the same filters.";
  return new ProblemError("INVALID_FIELD", `query.cursor: ${message}`, {
    errors: [{ field: "query.cursor", message }],
  });
}

function equal(a: string, b: string): boolean {
  const encoder = new TextEncoder();
  return crypto.subtle.timingSafeEqual(encoder.encode(a), encoder.encode(b));
}

async function tagOf(env: object, list: string, encoded: string): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(`sustenet cursor\n${list}\n${encoded}`);
  return new Uint8Array(await crypto.subtle.sign("HMAC", await tagKey(env), bytes)).subarray(0, tagBytes);
}
