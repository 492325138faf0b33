import { z } from "zod";

/** A value as the engine takes and gives it: integers are `bigint`, so that 64 bits survive. */
export type SqlValue = null | bigint | number | string | Uint8Array;

/** A value on the wire (Hrana, "Values"). */
export type WireValue =
  | { readonly type: "null" }
  | { readonly type: "integer"; readonly value: string }
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "blob"; readonly base64: string };

const minInteger = -(2n ** 63n);
const maxInteger = 2n ** 63n - 1n;

const nullValue = z.object({ type: z.literal("null") }).transform((): SqlValue => null);

const integerValue = z
  .object({
    type: z.literal("integer"),
    value: z
      .string()
      .regex(/^[+-]?\d{1,20}$/, "must be a decimal integer, as a string")
      .transform((text) => BigInt(text.replace("+", "")))
      .refine((value) => value >= minInteger && value <= maxInteger, "must fit 64 bits"),
  })
  .transform((wire): SqlValue => wire.value);

const floatValue = z.object({ type: z.literal("float"), value: z.number() }).transform((wire): SqlValue => wire.value);

const textValue = z.object({ type: z.literal("text"), value: z.string() }).transform((wire): SqlValue => wire.value);

const blobValue = z
  .object({ type: z.literal("blob"), base64: z.string().refine(isBase64, "must be base64") })
  .transform((wire): SqlValue => Buffer.from(wire.base64, "base64"));

/** Parses a value from the wire; padding of base64 may be missing. */
export const sqlValueSchema = z.union([nullValue, integerValue, floatValue, textValue, blobValue]);

/** Node's decoder skips what is not base64: look first. A pattern with a repeated group would overflow on megabytes. */
function isBase64(text: string): boolean {
  const data = text.replace(/={0,2}$/, "");
  return data.length % 4 !== 1 && !/[^A-Za-z0-9+/]/.test(data);
}

/** @throws TypeError for a value that the engine never gives. */
export function encodeValue(value: unknown): WireValue {
  if (value === null) return { type: "null" };
  if (typeof value === "bigint") return { type: "integer", value: value.toString() };
  if (typeof value === "number") return { type: "float", value };
  if (typeof value === "string") return { type: "text", value };
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { type: "blob", base64: bytes.toString("base64").replace(/=+$/, "") };
  }
  throw new TypeError("the engine gave a value of an unknown type");
}

/** About how many bytes of an answer the value takes. */
export function wireSize(value: WireValue): number {
  if (value.type === "blob") return value.base64.length + 32;
  if (value.type === "text") return value.value.length + 32;
  return 48;
}
