/** Why a key or certificate cannot be used or made; the message says what to do. */
export type KeyErrorCode =
  | "BAD_KEY_NAME"
  | "KEY_EXISTS"
  | "KEY_MISSING"
  | "KEY_UNREADABLE"
  | "FOLDER_UNUSABLE"
  | "CERTIFICATE_UNREADABLE";

export class KeyError extends Error {
  readonly code: KeyErrorCode;

  constructor(code: KeyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "KeyError";
    this.code = code;
  }
}
