/** What the vectors cannot show: limits of the encoders, sizes, sharing of memory. */
import { describe, expect, it } from "vitest";
import { decodeClientMessage, decodeClusterMessage } from "./decode.ts";
import { ProtocolError } from "./error.ts";
import { frameHeaderBytes } from "./frame.ts";
import { limits } from "./limits.ts";
import { encodeArrive, encodeStreams } from "./messages/arrive.ts";
import { encodeClose, encodeReject } from "./messages/farewell.ts";
import { encodeFragment } from "./messages/fragment.ts";
import { encodeHello } from "./messages/hello.ts";
import { encodeJoin } from "./messages/join.ts";
import { encodeMessage } from "./messages/message.ts";
import { encodeMove, encodePosition } from "./messages/move.ts";
import { encodePing, encodePong } from "./messages/ping.ts";
import { encodeAhead, encodeRedirect } from "./messages/redirect.ts";
import { encodeWelcome } from "./messages/welcome.ts";
import { fromHex, toHex } from "./vectors/hex.ts";

const origin = { sequence: 0, x: 0, y: 0, z: 0, heading: 0 };

const welcome = {
  version: 1,
  features: 0,
  playerNumber: 1,
  timeMs: 0,
  tick: 0,
  tickHz: 30,
  pingIntervalMs: 5_000,
  idleTimeoutMs: 15_000,
  maxFrameBytes: 16_384,
  x: 0,
  y: 0,
  z: 0,
  heading: 0,
  fragment: "",
  cluster: "",
};

describe("HELLO", () => {
  it("[HELLO-5] cuts a client name at a character's boundary so that it fits 64 bytes", () => {
    const client = `${"n".repeat(62)}€`;
    const decoded = decodeClientMessage(bodyOf(encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client })));
    expect(decoded).toMatchObject({ client: "n".repeat(62) });
  });

  it("[FRAME-3] never exceeds its limit", () => {
    const frame = encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "n".repeat(1_000) });
    expect(bodyOf(frame)).toHaveLength(12 + 64);
    expect(bodyOf(frame).length).toBeLessThanOrEqual(limits.maxHelloBytes);
  });

  it("[HELLO-2] takes any range from version 1 up, and no other", () => {
    const decode = (minVersion: number, maxVersion: number): unknown =>
      decodeClientMessage(bodyOf(encodeHello({ minVersion, maxVersion, features: 0, client: "" })));
    expect(decode(1, 1)).toMatchObject({ minVersion: 1, maxVersion: 1 });
    expect(decode(1, 255)).toMatchObject({ minVersion: 1, maxVersion: 255 });
    expect(decode(255, 255)).toMatchObject({ minVersion: 255, maxVersion: 255 });
    expect(() => decode(0, 0)).toThrow(expect.objectContaining({ code: "BAD_VALUE" }));
    expect(() => decode(0, 1)).toThrow(expect.objectContaining({ code: "BAD_VALUE" }));
    expect(() => decode(2, 1)).toThrow(expect.objectContaining({ code: "BAD_VALUE" }));
  });

  it("[HELLO-1] starts with the bytes of SUST", () => {
    const frame = encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "" });
    expect(toHex(frame)).toMatch(/^0c000153555354/);
  });
});

describe("JOIN", () => {
  it("[JOIN-3] takes tickets of 1 to 2,048 bytes and refuses to cut a longer one", () => {
    expect(encodeJoin({ ticket: "t".repeat(2_048) })).toHaveLength(frameHeaderBytes + 1 + 2 + 2_048);
    expect(() => encodeJoin({ ticket: "t".repeat(2_049) })).toThrow(ProtocolError);
    expect(() => encodeJoin({ ticket: "" })).toThrow(ProtocolError);
  });

  it.each(["é", "€", "🐢"])("[JOIN-3] refuses a ticket whose character %s straddles the limit", (character) => {
    for (let before = 2_044; before <= 2_048; before++) {
      const ticket = "t".repeat(before) + character.repeat(3);
      expect(() => encodeJoin({ ticket })).toThrow(ProtocolError);
    }
  });

  it("[FRAME-3] fits its limit with the longest ticket", () => {
    expect(bodyOf(encodeJoin({ ticket: "t".repeat(2_048) })).length).toBeLessThanOrEqual(limits.maxJoinBytes);
  });
});

describe("JOIN of a client that had a session before", () => {
  const position = { tenure: 1_048_576, received: 17, acknowledged: 5 };

  it("[JOIN-5] goes on with its position, which is read only where all of it is there", () => {
    const frame = bodyOf(encodeJoin({ ticket: "t".repeat(2_048), position }));
    expect(frame.length).toBeLessThanOrEqual(limits.maxJoinBytes);
    expect(decodeClientMessage(frame)).toMatchObject({ type: "join", position });
    for (let missing = 1; missing <= 24; missing++) {
      expect(decodeClientMessage(frame.subarray(0, frame.length - missing))).not.toHaveProperty("position");
    }
  });
});

describe("REDIRECT", () => {
  const cluster = {
    id: "c".repeat(64),
    name: "n".repeat(64),
    host: "h".repeat(253),
    port: 65_535,
    tls: { serverName: "s".repeat(253), caPem: "p".repeat(8_192), sha256: "0f".repeat(32) },
    wssUrl: "u".repeat(512),
  };
  const redirect = { id: "0a".repeat(16), key: "0b".repeat(16), boot: 1, cluster, token: "t".repeat(3_072) };

  it("[REDIRECT-1] carries the longest that an allocation can say", () => {
    expect(decodeClusterMessage(bodyOf(encodeRedirect(redirect)))).toEqual({ type: "redirect", ...redirect });
  });

  it("[AHEAD-1] and AHEAD the same of where to", () => {
    const ahead = { id: redirect.id, cluster };
    expect(decodeClusterMessage(bodyOf(encodeAhead(ahead)))).toEqual({ type: "ahead", ...ahead });
  });

  it("cuts the display name alone", () => {
    const frame = encodeRedirect({ ...redirect, cluster: { ...cluster, name: "🐢".repeat(64) } });
    expect(decodeClusterMessage(bodyOf(frame))).toMatchObject({ cluster: { name: "🐢".repeat(63) } });
  });

  it.each([
    ["id", { id: "0a" }],
    ["id", { id: "0A".repeat(16) }],
    ["key", { key: `${"0".repeat(31)}g` }],
    ["boot", { boot: 2 ** 53 }],
    ["boot", { boot: -1 }],
    ["token", { token: "t".repeat(3_073) }],
    ["token", { token: "" }],
    ["cluster.id", { cluster: { ...cluster, id: "c".repeat(65) } }],
    ["cluster.host", { cluster: { ...cluster, host: "h".repeat(256) } }],
    ["cluster.port", { cluster: { ...cluster, port: 0 } }],
    ["cluster.tls", { cluster: { ...cluster, tls: { ...cluster.tls, caPem: "p".repeat(8_193) } } }],
    ["cluster.tls", { cluster: { ...cluster, tls: { ...cluster.tls, sha256: "" } } }],
    ["cluster.wssUrl", { cluster: { ...cluster, wssUrl: "u".repeat(513) } }],
  ])("[REDIRECT-1] refuses to send another %s", (_field, change) => {
    expect(() => encodeRedirect({ ...redirect, ...change })).toThrow(expect.objectContaining({ code: "BAD_VALUE" }));
  });
});

describe("ARRIVE and STREAMS", () => {
  const position = { tenure: Number.MAX_SAFE_INTEGER, received: 0xffff_ffff, acknowledged: 0x1_0000_0000 };
  const arrive = { id: "0a".repeat(16), key: "0b".repeat(16), position, token: "t".repeat(3_072) };

  it("[FRAME-3] ARRIVE fits its limit with the longest token", () => {
    const frame = bodyOf(encodeArrive(arrive));
    expect(frame.length).toBeLessThanOrEqual(limits.maxJoinBytes);
    expect(decodeClientMessage(frame)).toEqual({ type: "arrive", ...arrive });
  });

  it("[ARRIVE-1] refuses to send a token that is too long", () => {
    expect(() => encodeArrive({ ...arrive, token: `${arrive.token}t` })).toThrow(ProtocolError);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])("[NUM-3] refuses to send the tenure %d", (tenure) => {
    expect(() => encodeStreams({ tenure, received: 0, fresh: false })).toThrow(ProtocolError);
  });

  it("[STREAMS-1] refuses to send fresh streams of which something was received", () => {
    expect(() => encodeStreams({ tenure: 1, received: 1, fresh: true })).toThrow(ProtocolError);
  });
});

describe("WELCOME", () => {
  it("cuts names that a str8 cannot carry, at a character's boundary", () => {
    const frame = encodeWelcome({ ...welcome, fragment: "€".repeat(100), cluster: "c".repeat(256) });
    expect(decodeClusterMessage(bodyOf(frame))).toMatchObject({ fragment: "€".repeat(85), cluster: "c".repeat(255) });
  });

  it.each([{ playerNumber: -1 }, { tickHz: 256 }, { maxFrameBytes: 65_536 }, { heading: 1.5 }, { timeMs: Number.NaN }])(
    "refuses to send %o",
    (wrong) => {
      expect(() => encodeWelcome({ ...welcome, ...wrong })).toThrow(ProtocolError);
    },
  );
});

describe("MOVE and POSITION", () => {
  it("round to f32 and come back the same", () => {
    const placement = { sequence: 65_535, x: 0.1, y: -0.2, z: 1e-50, heading: 40_000 };
    const expected = { ...placement, x: Math.fround(0.1), y: Math.fround(-0.2), z: 0 };
    expect(decodeClientMessage(bodyOf(encodeMove(placement)))).toEqual({ type: "move", ...expected });
    expect(decodeClusterMessage(bodyOf(encodePosition(placement)))).toEqual({ type: "position", ...expected });
  });

  it.each([{ x: Number.NaN }, { y: 1e39 }, { z: Number.NEGATIVE_INFINITY }, { sequence: 65_536 }, { heading: -1 }])(
    "[NUM-1] refuse to send %o",
    (wrong) => {
      expect(() => encodeMove({ ...origin, ...wrong })).toThrow(ProtocolError);
      expect(() => encodePosition({ ...origin, ...wrong })).toThrow(ProtocolError);
    },
  );
});

describe("PING and PONG", () => {
  it("[PING-1] echo any finite f64 bit for bit", () => {
    for (const timeMs of [0.1, -0, Number.MIN_VALUE, Number.MAX_VALUE, 1_770_000_000_000.123]) {
      const ping = decodeClientMessage(bodyOf(encodePing({ timeMs })));
      if (ping.type !== "ping") throw new Error("not a PING");
      const pong = decodeClusterMessage(bodyOf(encodePong({ echoMs: ping.timeMs, timeMs: 1 })));
      expect(pong).toEqual({ type: "pong", echoMs: timeMs, timeMs: 1 });
    }
  });

  it("[NUM-1] refuse to send what is not finite", () => {
    expect(() => encodePing({ timeMs: Number.NaN })).toThrow(ProtocolError);
    expect(() => encodePong({ echoMs: 0, timeMs: Number.POSITIVE_INFINITY })).toThrow(ProtocolError);
  });
});

describe("MESSAGE", () => {
  it("costs 4 bytes of header", () => {
    expect(encodeMessage({ command: 1, payload: new Uint8Array(10) })).toHaveLength(14);
  });

  it("[FRAME-3] takes a payload of 65,533 bytes and refuses one more", () => {
    expect(encodeMessage({ command: 1, payload: new Uint8Array(65_533) })).toHaveLength(65_537);
    expect(() => encodeMessage({ command: 1, payload: new Uint8Array(65_534) })).toThrow(ProtocolError);
  });

  it("leaves all 256 commands to the game, and no more", () => {
    for (let command = 0; command <= 255; command++) {
      const frame = encodeMessage({ command, payload: new Uint8Array() });
      expect(decodeClientMessage(bodyOf(frame))).toMatchObject({ type: "message", command });
    }
    expect(() => encodeMessage({ command: 256, payload: new Uint8Array() })).toThrow(ProtocolError);
  });

  it("hands its payload on as a view, without a copy", () => {
    const frame = encodeMessage({ command: 1, payload: Uint8Array.of(1, 2, 3) });
    const decoded = decodeClientMessage(bodyOf(frame));
    expect(decoded.type === "message" && decoded.payload.buffer === frame.buffer).toBe(true);
  });
});

describe("REJECT and CLOSE", () => {
  it("carry any wait that a u32 can, and refuse others", () => {
    expect(decodeClusterMessage(bodyOf(encodeReject("BUSY", 0xffff_ffff)))).toMatchObject({
      retryAfterMs: 0xffff_ffff,
    });
    expect(() => encodeClose("BUSY", 2 ** 32)).toThrow(ProtocolError);
    expect(() => encodeClose("BUSY", -1)).toThrow(ProtocolError);
  });
});

describe("decoders", () => {
  it("[FRAME-5] refuse a frame without even a type", () => {
    expect(() => decodeClientMessage(new Uint8Array())).toThrow(expect.objectContaining({ code: "TRUNCATED" }));
    expect(() => decodeClusterMessage(new Uint8Array())).toThrow(expect.objectContaining({ code: "TRUNCATED" }));
  });

  it("[FRAME-5] refuse trailing bytes after every layout but HELLO, JOIN and MESSAGE", () => {
    const closed = [
      encodeMove(origin),
      encodePing({ timeMs: 0 }),
      encodePong({ echoMs: 0, timeMs: 0 }),
      encodeClose("NORMAL"),
    ];
    for (const frame of closed) {
      expect(() => decodeClientMessage(withTail(frame))).toThrow(expect.objectContaining({ code: "TRAILING_BYTES" }));
    }
    for (const frame of [encodeWelcome(welcome), encodeReject("FULL"), encodePosition(origin)]) {
      expect(() => decodeClusterMessage(withTail(frame))).toThrow(expect.objectContaining({ code: "TRAILING_BYTES" }));
    }
    const hello = encodeHello({ minVersion: 1, maxVersion: 1, features: 0, client: "x" });
    expect(decodeClientMessage(withTail(hello))).toMatchObject({ type: "hello", client: "x" });
    expect(decodeClientMessage(withTail(encodeJoin({ ticket: "t" })))).toMatchObject({ type: "join", ticket: "t" });
  });

  it("keep bytes of the peer out of what they throw", () => {
    // JOIN whose ticket is "secret" and a byte that no UTF-8 has; HELLO with the same as its magic.
    for (const hex of ["020700736563726574ff", "01736563726574"]) {
      let thrown: unknown;
      try {
        decodeClientMessage(fromHex(hex));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(ProtocolError);
      expect(String(thrown)).not.toMatch(/secret|73656372/);
    }
  });
});

/** Type and body, without the length. */
function bodyOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(frameHeaderBytes);
}

function withTail(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frame.length + 1);
  bytes.set(frame);
  return bytes.subarray(frameHeaderBytes);
}

it.each([{ name: "m" }, { name: "é".repeat(32) }, { updateHz: 0.5, viewRange: 0.5, precision: 0.5 }])(
  "[FRAGMENT-2] carries a fragment at its bounds: %o",
  (change) => {
    const fragment = {
      tick: 1,
      updateHz: 20,
      viewRange: 100,
      precision: 0.5,
      speedLimit: 0,
      name: "meadow",
      ...change,
    };
    expect(decodeClusterMessage(bodyOf(encodeFragment(fragment)))).toEqual({ type: "fragment", ...fragment });
  },
);

it.each([
  [{ updateHz: 0 }],
  [{ viewRange: -1 }],
  [{ precision: 0 }],
  [{ speedLimit: -0.5 }],
  [{ name: "" }],
  [{ name: "é".repeat(33) }],
])("[FRAGMENT-2] encodes no fragment with %o", (change) => {
  const fragment = { tick: 1, updateHz: 20, viewRange: 100, precision: 0.01, speedLimit: 0, name: "meadow" };
  expect(() => encodeFragment({ ...fragment, ...change })).toThrow(ProtocolError);
});
