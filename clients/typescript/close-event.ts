import {
  type Close,
  closeCodeAdvice,
  closeCodeName,
  closeCodes,
  type Reject,
  isCloseCode,
} from "../../protocol/index.ts";
import {
  type ErrorAdvice,
  type ErrorOrigin,
  localCodes,
  type LocalCode,
  SustenetError,
  type SustenetErrorCode,
} from "./error.ts";

/** Why a connection or a session ended. */
export interface CloseEvent {
  /** Stable; `UNKNOWN_CODE` for a number of a later version. */
  readonly code: SustenetErrorCode;
  /** The number in REJECT or CLOSE, where there was one. */
  readonly number: number | undefined;
  /** What to do now. */
  readonly advice: ErrorAdvice;
  /** Do not try again sooner. */
  readonly retryAfterMs: number;
  /** Plain English for a developer. From a cluster's REJECT or CLOSE it is the cluster's own words: do not show it to players. */
  readonly text: string;
  /** Who ended it. */
  readonly origin: ErrorOrigin;
}

/** From REJECT or CLOSE. [CLOSE-3] */
export function closeEventOfFarewell(farewell: Reject | Close): CloseEvent {
  return {
    code: closeCodeName(farewell.code) ?? "UNKNOWN_CODE",
    number: farewell.code,
    advice: closeCodeAdvice(farewell.code),
    retryAfterMs: farewell.retryAfterMs,
    text: farewell.text,
    origin: "cluster",
  };
}

/** From a fault that this side found. */
export function localCloseEvent(code: LocalCode, text: string = localCodes[code].text): CloseEvent {
  return { code, number: undefined, advice: localCodes[code].advice, retryAfterMs: 0, text, origin: "client" };
}

/** The player left. */
export const leftEvent: CloseEvent = {
  code: "NORMAL",
  number: closeCodes.NORMAL.number,
  advice: "stop",
  retryAfterMs: 0,
  text: closeCodes.NORMAL.text,
  origin: "client",
};

export function closeEventOfError(error: SustenetError): CloseEvent {
  const { code, advice, retryAfterMs, detail, origin } = error;
  const number = origin === "cluster" && isCloseCode(code) ? closeCodes[code].number : undefined;
  return { code, number, advice, retryAfterMs, text: detail, origin };
}

/** For a promise that the end of the connection rejects. The peer's own words stay out of it. */
export function errorOfCloseEvent(event: CloseEvent): SustenetError {
  const { code, advice, retryAfterMs, origin, number } = event;
  let detail = event.text;
  if (number !== undefined) {
    const name = closeCodeName(number);
    detail = name === undefined ? `The cluster gave the code ${number}, of a later version.` : closeCodes[name].text;
  }
  return new SustenetError(code, { origin, advice, retryAfterMs, detail });
}
