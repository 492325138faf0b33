import { ProtocolError } from "./error.ts";

/** Lower-case hexadecimal, two digits a byte. */
export function toHexDigits(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Throws `BAD_VALUE` for anything but `byteLength` bytes in lower-case hexadecimal. */
export function fromHexDigits(digits: string, byteLength: number): Uint8Array<ArrayBuffer> {
  if (digits.length !== byteLength * 2 || !/^[0-9a-f]*$/.test(digits)) {
    throw new ProtocolError("BAD_VALUE", `not ${byteLength * 2} lower-case hex digits`);
  }
  return Uint8Array.from({ length: byteLength }, (_, index) =>
    Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
  );
}
