/** @throws RangeError for a command that is not a byte */
export function assertCommand(command: number): void {
  if (!Number.isInteger(command) || command < 0 || command > 255) {
    throw new RangeError(`a command is a whole number from 0 to 255, not ${command}`);
  }
}

/**
 * Only the compiler keeps other things out, and a game in JavaScript has none: a frame that is made of them is no frame any more.
 *
 * @throws RangeError for what is no `Uint8Array`
 */
export function assertBytes(payload: unknown): void {
  if (!(payload instanceof Uint8Array))
    throw new RangeError("a payload is a Uint8Array: a text is to be encoded first");
}
