/** The type byte of every message. Spec: docs/PROTOCOL.md, section 5; a test holds the two together. */
export const messageTypes = {
  hello: 0x01,
  join: 0x02,
  welcome: 0x03,
  reject: 0x04,
  close: 0x05,
  ping: 0x06,
  pong: 0x07,
  resume: 0x08,
  resumed: 0x09,
  resumeToken: 0x0a,
  ack: 0x0b,
  redirect: 0x0c,
  stay: 0x0d,
  arrive: 0x0e,
  streams: 0x0f,
  move: 0x10,
  position: 0x11,
  kinds: 0x12,
  entities: 0x13,
  fragment: 0x14,
  ahead: 0x15,
  message: 0x40,
  state: 0x41,
  request: 0x42,
  response: 0x43,
  cancel: 0x44,
} as const;

export type MessageName = keyof typeof messageTypes;

/** The protocol versions that this code speaks. */
export const versions = { min: 1, max: 1 } as const;

/** Optional features: bits of HELLO and WELCOME. In force is what both sides set. [HELLO-4] */
export const features = {
  /** A dropped connection can be taken up again. Section 5.10. */
  resume: 1,
  /** The client takes STATE; without it the cluster sends MESSAGE in its place. [LATEST-4] */
  state: 2,
  /** REQUEST, RESPONSE and CANCEL. Section 5.9. */
  requests: 4,
  /** KINDS, ENTITIES and FRAGMENT. Section 5.11. */
  world: 8,
  /** REDIRECT, STAY, ARRIVE and STREAMS. Section 5.12. */
  handover: 16,
  /** AHEAD: a connection to where a player may be sent can be opened before it is. Section 5.12. */
  ahead: 32,
} as const;

/** Every feature that this code knows. */
export const allFeatures: number =
  features.resume | features.state | features.requests | features.world | features.handover | features.ahead;
