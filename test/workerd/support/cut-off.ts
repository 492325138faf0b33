import { vi } from "vitest";

/** From here on, until mocks are restored, what goes to an address that contains `part` does not arrive. */
export function cutOff(part: string): void {
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const address = input instanceof Request ? input.url : String(input);
    return address.includes(part) ? Promise.reject(new TypeError("cut off by the test")) : real(input, init);
  });
}
