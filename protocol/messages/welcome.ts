import { type ByteReader, encodeUtf8 } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** The cluster's answer to a good JOIN. Spec: docs/PROTOCOL.md, section 5.3. */
export interface Welcome {
  readonly type: "welcome";
  readonly version: number;
  readonly features: number;
  /** Names this player within this cluster, for as long as it is joined. */
  readonly playerNumber: number;
  /** The cluster's monotonic clock, in milliseconds. */
  readonly timeMs: number;
  readonly tick: number;
  readonly tickHz: number;
  readonly pingIntervalMs: number;
  readonly idleTimeoutMs: number;
  /** Greatest length that a frame from the client may announce. */
  readonly maxFrameBytes: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** 65,536 to a full turn. */
  readonly heading: number;
  readonly fragment: string;
  readonly cluster: string;
}

export function encodeWelcome(welcome: Omit<Welcome, "type">): Uint8Array<ArrayBuffer> {
  const fragment = encodeUtf8(welcome.fragment);
  const cluster = encodeUtf8(welcome.cluster);
  return createFrame(messageTypes.welcome, 44 + fragment.length + cluster.length)
    .u8(welcome.version)
    .u32(welcome.features)
    .u32(welcome.playerNumber)
    .f64(welcome.timeMs)
    .u32(welcome.tick)
    .u8(welcome.tickHz)
    .u16(welcome.pingIntervalMs)
    .u16(welcome.idleTimeoutMs)
    .u16(welcome.maxFrameBytes)
    .f32(welcome.x)
    .f32(welcome.y)
    .f32(welcome.z)
    .u16(welcome.heading)
    .u8(fragment.length)
    .raw(fragment)
    .u8(cluster.length)
    .raw(cluster).bytes;
}

export function decodeWelcome(reader: ByteReader): Welcome {
  const welcome: Welcome = {
    type: "welcome",
    version: reader.u8(),
    features: reader.u32(),
    playerNumber: reader.u32(),
    timeMs: reader.f64(),
    tick: reader.u32(),
    tickHz: reader.u8(),
    pingIntervalMs: reader.u16(),
    idleTimeoutMs: reader.u16(),
    maxFrameBytes: reader.u16(),
    x: reader.f32(),
    y: reader.f32(),
    z: reader.f32(),
    heading: reader.u16(),
    fragment: reader.str8(),
    cluster: reader.str8(),
  };
  reader.end();
  return welcome;
}
