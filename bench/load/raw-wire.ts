import { Dialler, type Endpoint } from "./endpoint.ts";
import { Link } from "./link.ts";
import { RecordScanner } from "./scanner.ts";
import type { Wire } from "./wire.ts";

/** Bare sockets: a message is its payload, and who is connected has joined. */
export function createRawWire(endpoint: Endpoint): Wire {
  const dialler = new Dialler(endpoint);
  return {
    prepare: async () => {},
    join: async () =>
      new Link(await dialler.dial(), new RecordScanner(endpoint.payloadBytes), (link) => (_kind, bytes, start, end) => {
        link.count(bytes, start, end);
      }),
    message: (payload) => Buffer.from(payload),
    // As many bytes as MOVE has.
    step: (player) => player.write(Buffer.alloc(19, 1)),
    attendMs: undefined,
    attend: () => {},
    goodbye: undefined,
  };
}
