/** The type byte of every message. Spec: docs/PROTOCOL.md, section 5; a test holds the two together. */
export const messageTypes = {
  hello: 0x01,
  join: 0x02,
  welcome: 0x03,
  reject: 0x04,
  close: 0x05,
  ping: 0x06,
  pong: 0x07,
  move: 0x10,
  position: 0x11,
  message: 0x40,
} as const;

export type MessageName = keyof typeof messageTypes;

/** The protocol versions that this code speaks. */
export const versions = { min: 1, max: 1 } as const;
