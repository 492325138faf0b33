/** @throws RangeError for a command that is not a byte */
export function assertCommand(command: number): void {
  if (!Number.isInteger(command) || command < 0 || command > 255) {
    throw new RangeError(`a command is a whole number from 0 to 255, not ${command}`);
  }
}
