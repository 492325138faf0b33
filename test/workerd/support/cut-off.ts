import { vi } from "vitest";

/** From here on, until mocks are restored, what goes to an address that contains `part` does not arrive. */
export function cutOff(part: string): void {
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const address = input instanceof Request ? input.url : String(input);
    return address.includes(part) ? Promise.reject(new TypeError("cut off by the test")) : real(input, init);
  });
}

/** The same for what is longer than so many bytes. @returns how long each was that was sent, as they come */
export function refuseLongBodies(part: string, bytes: number): readonly number[] {
  const real = globalThis.fetch;
  const lengths: number[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    if (!request.url.includes(part)) return real(input, init);
    const { byteLength } = await request.clone().arrayBuffer();
    lengths.push(byteLength);
    if (byteLength > bytes) throw new TypeError("the connection was lost");
    return real(request);
  });
  return lengths;
}
