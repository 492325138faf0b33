/** What the system's codes mean to somebody who has named an address. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name of the host cannot be looked up now",
  ECONNRESET: "it ended the connection: is that the right port?",
  UND_ERR_SOCKET: "it ended the connection: is that the right port?",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network",
  ETIMEDOUT: "no answer",
  UND_ERR_CONNECT_TIMEOUT: "no answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "what answers there does not speak TLS: is https:// right?",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "what answers there does not speak TLS: is https:// right?",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is of nobody that this machine trusts",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is of nobody that this machine trusts",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

/** Says in plain words why `fetch` got no answer; it hides that in the cause. `timeoutMs` is what it was given. */
export function explainNoAnswer(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === "TimeoutError") return `no answer within ${timeoutMs / 1_000} s`;
  const inner = error instanceof Error ? error.cause : undefined;
  const code = inner instanceof Error && "code" in inner && typeof inner.code === "string" ? inner.code : "";
  if (inner instanceof Error && inner.name === "HTTPParserError") return "what answers there does not speak HTTP";
  if (inner instanceof Error && inner.message === "bad port") return "browsers and fetch call nobody at that port";
  return words[code] ?? (code === "" ? (error instanceof Error ? error.message : "no answer") : code);
}
