import { ByteReader, encodeKinds, frameHeaderBytes, KindTable, ProtocolError } from "../../protocol/index.ts";
import { decodeEntities, type Entities } from "../../protocol/messages/entities.ts";
import { decodeKinds } from "../../protocol/messages/kinds.ts";
import { maxVarintBytes, readVarint, writeVarint } from "../../protocol/entities/wire.ts";
import { maxToldEntities } from "../fragments/border.ts";

/** First bytes of ghosts frames. [GHOST-4] */
const tags = { kinds: 0, view: 1 } as const;
const identityBytes = 8;
/**
 * Longest body that is read. Three bytes can be an update, so the longest frame that a link takes would keep this process from everything else for 0.15 s
 * and more. No border is told more of at a time, and kinds fit as they fit into KINDS. [GHOST-6]
 */
const maxBytes = 65_535;

/** Whose entity it is that enters: the same text at all clusters for one player. */
export interface EntityIdentity {
  /** Of the entity, at the cluster that tells. */
  readonly number: number;
  /** 16 hexadecimal digits. */
  readonly identity: string;
}

export type GhostFrame =
  | { readonly type: "kinds"; readonly kinds: KindTable }
  | {
      readonly type: "view";
      /** By number. */
      readonly identities: ReadonlyMap<number, string>;
      readonly entities: Pick<Entities, "tick" | "changes">;
    };

export function encodeGhostKinds(kinds: KindTable): Uint8Array {
  // The frame's type gives its place to the tag.
  const frame = encodeKinds(kinds).subarray(frameHeaderBytes);
  frame[0] = tags.kinds;
  return frame;
}

/** @param view the body of ENTITIES */
export function encodeGhostView(identities: readonly EntityIdentity[], view: Uint8Array): Uint8Array {
  const most = 1 + maxVarintBytes + identities.length * (maxVarintBytes + identityBytes);
  const bytes = Buffer.allocUnsafe(most + view.length);
  bytes[0] = tags.view;
  let at = writeVarint(bytes, 1, identities.length);
  for (const { number, identity } of identities) {
    at = writeVarint(bytes, at, number);
    at += bytes.write(identity, at, identityBytes, "hex");
  }
  bytes.set(view, at);
  return bytes.subarray(0, at + view.length);
}

/** @throws ProtocolError */
export function decodeGhostFrame(bytes: Uint8Array): GhostFrame {
  if (bytes.length > maxBytes) throw new ProtocolError("BAD_VALUE", `ghosts in ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const tag = reader.u8();
  if (tag === tags.kinds) return { type: "kinds", kinds: new KindTable(decodeKinds(reader).kinds) };
  if (tag !== tags.view) throw new ProtocolError("BAD_VALUE", `ghosts of tag ${tag}`);
  const count = readVarint(reader);
  if (count > maxToldEntities) throw new ProtocolError("BAD_VALUE", `${count} identities`);
  const identities = new Map<number, string>();
  for (let left = count; left > 0; left--) {
    const number = readVarint(reader);
    identities.set(number, Buffer.from(reader.bytes(identityBytes)).toString("hex"));
  }
  return { type: "view", identities, entities: decodeEntities(reader) };
}
