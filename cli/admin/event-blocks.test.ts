import { describe, expect, it } from "vitest";
import { EventBlocks } from "./event-blocks.ts";

const stream =
  'retry: 2000\n\nid: a-1\nevent: cluster.state\ndata: {"name":"Zürich"}\n\n: still here\n\nevent: hub.gap\ndata: {"text":"x"}\n\nid: a-2\nevent: broken\ndata: {\n\n';
const expected = [
  { id: "a-1", event: "cluster.state", data: { name: "Zürich" } },
  { id: undefined, event: "hub.gap", data: { text: "x" } },
];

describe("server-sent events", () => {
  it("are the same whole and one byte at a time", () => {
    const bytes = new TextEncoder().encode(stream);
    expect(new EventBlocks().add(bytes)).toEqual(expected);
    const blocks = new EventBlocks();
    expect([...bytes].flatMap((byte) => blocks.add(Uint8Array.of(byte)))).toEqual(expected);
  });

  it("are refused when one has no end", () => {
    const blocks = new EventBlocks();
    expect(() => blocks.add(new TextEncoder().encode("x".repeat(65_537)))).toThrow("too long");
  });
});
