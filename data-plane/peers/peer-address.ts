import { z } from "zod";
import { type Allocation, decodeUtf8, encodeClusterAddress } from "../../protocol/index.ts";

/** Where players reach a cluster: what the master would tell them, for those who are handed over to it. [PEER-7] */
export type PeerAddress = Allocation["cluster"];

const addressSchema = z.strictObject({
  id: z.string().min(1).max(256),
  name: z.string().min(1).max(256),
  host: z.string().min(1).max(253),
  port: z.int().min(1).max(65_535),
  tls: z.strictObject({
    serverName: z.string().min(1).max(253),
    caPem: z.string().min(1).max(65_536),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  wssUrl: z.string().max(512).optional(),
}) satisfies z.ZodType<PeerAddress>;

export function encodePeerAddress(address: PeerAddress): Uint8Array {
  return Buffer.from(JSON.stringify(address));
}

/** @throws Error where it is none, or another cluster's, or one that no client could be told */
export function decodePeerAddress(bytes: Uint8Array, clusterId: string): PeerAddress {
  const { data } = addressSchema.safeParse(parseJson(bytes));
  if (data?.id !== clusterId) throw new Error("no address of players");
  // Now, and not when a player is on its way there, in the middle of a step. [REDIRECT-1]
  encodeClusterAddress(data);
  return data;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes));
  } catch {
    return undefined;
  }
}
